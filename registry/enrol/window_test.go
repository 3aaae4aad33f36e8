package enrol_test

import (
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/registrytest"
)

func status(r *registrytest.Rig) registry.WindowStatus {
	r.T.Helper()
	s, err := r.Enrolment.WindowStatus(r.T.Context())
	registrytest.Must(r.T, err)
	return s
}

func TestTheWindowIsLockedUntilSomebodyOpensIt(t *testing.T) {
	r := registrytest.New(t)
	if got := status(r); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("at first: %+v", got)
	}
	opened, _, err := r.Enrolment.OpenWindow(t.Context(), r.Admin, time.Minute)
	registrytest.Must(t, err)
	if got := status(r); got.Locked || !got.OpenUntil.Equal(opened.OpenUntil) || got.Remaining <= 50*time.Second || got.Remaining > time.Minute {
		t.Errorf("opened: %+v, then %+v", opened, got)
	}
	r.Turn(time.Minute)
	if got := status(r); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("when its time is over: %+v", got)
	}
	r.OpenWindow(time.Minute)
	r.LockWindow()
	if got := status(r); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("locked: %+v", got)
	}
	r.LockWindow() // once more is no error
}

func TestTheDurationOfAWindowHasLimits(t *testing.T) {
	r := registrytest.New(t)
	for d, code := range map[time.Duration]registry.Code{
		0: registry.Invalid, -time.Second: registry.Invalid, time.Millisecond - 1: registry.Invalid, time.Millisecond: "",
		24 * time.Hour: "", 24*time.Hour + 1: registry.Invalid, registry.DefaultWindow: "",
	} {
		_, _, err := r.Enrolment.OpenWindow(t.Context(), r.Admin, d)
		registrytest.WantCode(t, d.String(), err, code)
	}
	_, _, err := r.Enrolment.OpenWindow(t.Context(), r.Admin, -1)
	registrytest.WantField(t, "-1", err, registry.Invalid, "duration")
}

// TestHowAWindowEndsMakesNoDifference locks by hand and by the clock, and looks
// at what is left right after, when the window is opened again, and when nobody
// swept in between.
func TestHowAWindowEndsMakesNoDifference(t *testing.T) {
	for name, end := range map[string]func(*registrytest.Rig){
		"locked by hand":           func(r *registrytest.Rig) { r.LockWindow() },
		"its time is over":         func(r *registrytest.Rig) { r.Turn(time.Minute) },
		"its time is over, swept":  func(r *registrytest.Rig) { r.Turn(time.Minute); sweep(r) },
		"the clock was set back":   func(r *registrytest.Rig) { r.Turn(-2 * time.Minute) },
		"over, and started again":  func(r *registrytest.Rig) { r.Turn(time.Minute); r.Restart() },
		"locked on another node":   func(r *registrytest.Rig) { r.Another().LockWindow() },
		"over, as another sees it": func(r *registrytest.Rig) { n := r.Another(); n.Turn(time.Minute); r.Turn(time.Minute); sweep(n) },
	} {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(t)
			ctx := t.Context()
			r.OpenWindow(time.Minute)
			for _, n := range []string{"pending", "denied", "granted"} {
				r.Register(registrytest.Request(n), registry.RegistrationPending)
			}
			registrytest.Must(t, r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: "denied"}))
			r.Confirm("granted")
			end(r)

			if got := status(r); !got.Locked {
				t.Fatalf("the window is %+v", got)
			}
			if got := r.Pending(); len(got) != 0 {
				t.Errorf("pending: %v", got)
			}
			_, _, err := r.Enrolment.Confirm(ctx, r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "pending"}})
			registrytest.WantCode(t, "confirm", err, registry.NotFound)
			registrytest.WantCode(t, "deny", r.Enrolment.Deny(ctx, r.Admin, enrol.Ref{Username: "pending"}), registry.NotFound)
			r.Register(registrytest.Request("pending"), registry.RegistrationLocked)
			r.Register(registrytest.Request("denied"), registry.RegistrationLocked)

			r.OpenWindow(time.Minute)
			if got := r.Pending(); len(got) != 0 {
				t.Errorf("pending in the next window: %v", got)
			}
			_, _, err = r.Enrolment.Confirm(ctx, r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: "pending"}})
			registrytest.WantCode(t, "confirm in the next window", err, registry.NotFound)
			r.Register(registrytest.Request("granted"), registry.RegistrationGranted)
			other := registrytest.Request("pending")
			other.Password = "another-secret" // the name is free again
			r.Register(other, registry.RegistrationPending)
			r.Register(registrytest.Request("denied"), registry.RegistrationPending)
		})
	}
}

func TestOpeningAnOpenWindowStartsItAgainAndKeepsWhatIsPending(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	r.OpenWindow(time.Minute) // shorter
	if got := status(r); got.Remaining > time.Minute {
		t.Errorf("open again for a minute: %+v", got)
	}
	if got := r.Pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
	r.Turn(2 * time.Minute)
	if !status(r).Locked {
		t.Error("the first duration still counts")
	}
}

func TestTheWindowIsOneForAllNodesAndSurvivesARestart(t *testing.T) {
	r := registrytest.New(t)
	other := r.Another()
	r.OpenWindow(time.Minute)
	other.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	r.Restart()
	r.Register(registrytest.Request("gateway"), registry.RegistrationPending)
	if got := r.Pending(); len(got) != 1 {
		t.Fatalf("pending: %v", got)
	}
	r.Confirm("gateway")
	other.Register(registrytest.Request("gateway"), registry.RegistrationGranted)

	ahead := r.Another()
	ahead.Turn(30 * time.Second) // its clock is wrong, but not by much
	ahead.Register(registrytest.Request("second"), registry.RegistrationPending)
	behind := r.Another()
	behind.Turn(-30 * time.Second)
	behind.Register(registrytest.Request("second"), registry.RegistrationPending)
}

func TestNobodySweepsWhatCounts(t *testing.T) {
	r := registrytest.New(t)
	r.OpenWindow(time.Hour)
	r.Register(registrytest.Request("pending"), registry.RegistrationPending)
	r.Register(registrytest.Request("granted"), registry.RegistrationPending)
	r.Confirm("granted")
	if n := sweep(r); n != 0 {
		t.Errorf("swept %d", n)
	}
	r.Turn(2 * time.Hour)
	if n := sweep(r); n != 2 {
		t.Errorf("swept %d, want 2", n)
	}
}
