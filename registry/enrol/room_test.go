package enrol_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/registrytest"
)

// One network fills its share of the places, not all of them.
func TestOneNetworkFillsOnlyItsShare(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) {
		cfg.Enrolment.Max, cfg.Enrolment.MaxPerAddress, cfg.Enrolment.Burst = 20, 5, 1000
	})
	r.OpenWindow(time.Hour)
	n := 0
	from := func(addr string) enrol.Request {
		n++
		req := registrytest.Request(fmt.Sprintf("device-%d", n))
		req.Remote = netip.MustParseAddr(addr)
		return req
	}
	for i := range 5 {
		r.Register(from(fmt.Sprintf("2001:db8::%d", i)), registry.RegistrationPending)
	}
	r.RegisterRefused("a sixth of the same /64", from("2001:db8::9"), registry.Busy)
	if r.Enrolment.Refused() != 1 {
		t.Errorf("%d were counted", r.Enrolment.Refused())
	}
	for i := range 13 {
		r.Register(from(fmt.Sprintf("192.0.2.%d", i%3)), registry.RegistrationPending)
	}
	r.RegisterRefused("one more of who has some, when the last tenth is left", from("192.0.2.0"), registry.Busy)
	for i := range 2 {
		r.Register(from(fmt.Sprintf("198.51.100.%d", i)), registry.RegistrationPending)
	}
	r.RegisterRefused("when all places are taken", from("203.0.113.1"), registry.Busy)
	for _, name := range r.Pending()[:10] {
		registrytest.Must(t, r.Enrolment.Deny(t.Context(), r.Admin, enrol.Ref{Username: name}))
	}
	r.Register(from("2001:db8::9"), registry.RegistrationPending)
	r.Register(from("203.0.113.1"), registry.RegistrationPending)
}

// What was denied is kept for the answer to its client, within a limit of its own.
func TestDeniedOnesAreBounded(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.Max, cfg.Enrolment.MaxPerAddress = 3, 3 })
	r.OpenWindow(time.Hour)
	for i := range 5 {
		req := registrytest.Request(fmt.Sprintf("device-%d", i))
		r.Register(req, registry.RegistrationPending)
		registrytest.Must(t, r.Enrolment.Deny(t.Context(), r.Admin, enrol.Ref{Username: req.Username}))
		r.Register(req, registry.RegistrationDenied)
		r.Turn(time.Second)
	}
	if n, err := r.Store.CountRegistrations(t.Context(), registry.RegistrationDenied); err != nil || n != 3 {
		t.Errorf("%d are kept, %v", n, err)
	}
	r.Register(registrytest.Request("device-4"), registry.RegistrationDenied)
	r.Register(registrytest.Request("device-0"), registry.RegistrationPending) // long forgotten
}

// Where the pairing code is demanded nobody confirms by the name alone, and so nobody
// confirms who has only taken the name first.
func TestThePairingCodeIsDemanded(t *testing.T) {
	r := registrytest.New(t, func(cfg *node.Config) { cfg.Enrolment.PairingCode = true })
	r.OpenWindow(time.Hour)
	a := r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	confirm := func(ref enrol.Ref) error {
		_, _, err := r.Enrolment.Confirm(t.Context(), r.Admin, enrol.Confirmation{Ref: ref})
		return err
	}
	err := confirm(enrol.Ref{Username: "gateway"})
	registrytest.WantField(t, "by the name", err, registry.Invalid, enrol.FieldPairingCode)
	registrytest.WantCode(t, "by the id", confirm(enrol.Ref{Username: "gateway", ID: a.ID}), registry.Invalid)
	registrytest.WantCode(t, "by another code", confirm(enrol.Ref{Username: "gateway", PairingCode: "AAAAAA"}), registry.Conflict)
	registrytest.WantCode(t, "by the code", confirm(enrol.Ref{Username: "gateway", PairingCode: a.PairingCode}), "")
}
