package program

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"mqttwarden/registry/ca"
)

// What the certificates are for that time may put out of use.
const (
	useClientCA  = "client-ca"
	useListener  = "listener"
	useAuthority = "authority"
)

// certificateUse are the certificates of one use.
type certificateUse struct {
	use   string
	certs []*x509.Certificate
}

// validity tells once of each certificate that is outside its validity. Time alone
// never stops the program: what a certificate cannot do any more others may still do.
type validity struct {
	log  *slog.Logger
	now  func() time.Time
	mu   sync.Mutex
	told map[string]bool // by use, certificate and problem
}

// look tells of what it has not told yet.
func (v *validity) look(uses []certificateUse) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, now := v.told, v.now()
	v.told = make(map[string]bool)
	for _, u := range uses {
		for _, c := range u.certs {
			problem := ca.ValidityProblem(c, now)
			if problem == "" {
				continue
			}
			id := u.use + ca.Fingerprint(c) + problem
			if !before[id] {
				v.log.Warn("a certificate is outside its validity", "use", u.use, "subject", c.Subject.String(), "serial", ca.FormatSerial(c.SerialNumber), "problem", problem)
			}
			v.told[id] = true
		}
	}
}

// count returns how many certificates of each use are outside their validity.
func (v *validity) count(uses []certificateUse) map[string]int {
	counts, now := make(map[string]int, len(uses)), v.now()
	for _, u := range uses {
		counts[u.use] = 0
		for _, c := range u.certs {
			if ca.ValidityProblem(c, now) != "" {
				counts[u.use]++
			}
		}
	}
	return counts
}

// certificateUses returns the certificates that this node works with.
func (a *app) certificateUses() []certificateUse {
	uses := []certificateUse{
		{useClientCA, a.register.PKI.Trust().Certificates()},
		{useAuthority, a.register.PKI.Issuer().Current().Certificates()},
	}
	if a.certificate != nil {
		uses = append(uses, certificateUse{useListener, a.certificate.chains()})
	}
	return uses
}

// tellValidity is a chore, see validity.look.
func (a *app) tellValidity(context.Context) error {
	a.validity.look(a.certificateUses())
	return nil
}
