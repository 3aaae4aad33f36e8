package registry_test

import (
	"testing"
	"time"

	"mqttwarden/registry"
)

func (r *rig) status() registry.WindowStatus {
	r.t.Helper()
	s, err := r.service.WindowStatus(r.t.Context())
	must(r.t, err)
	return s
}

func TestTheWindowIsLockedUntilSomebodyOpensIt(t *testing.T) {
	r := newRig(t)
	if got := r.status(); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("at first: %+v", got)
	}
	opened, err := r.service.OpenWindow(t.Context(), r.admin, time.Minute)
	must(t, err)
	if got := r.status(); got.Locked || !got.OpenUntil.Equal(opened.OpenUntil) || got.Remaining <= 50*time.Second || got.Remaining > time.Minute {
		t.Errorf("opened: %+v, then %+v", opened, got)
	}
	r.turn(time.Minute)
	if got := r.status(); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("when its time is over: %+v", got)
	}
	r.openWindow(time.Minute)
	must(t, r.service.LockWindow(t.Context(), r.admin))
	if got := r.status(); got != (registry.WindowStatus{Locked: true}) {
		t.Errorf("locked: %+v", got)
	}
	must(t, r.service.LockWindow(t.Context(), r.admin)) // once more is no error
}

func TestTheDurationOfAWindowHasLimits(t *testing.T) {
	r := newRig(t)
	for d, code := range map[time.Duration]registry.Code{
		0: registry.Invalid, -time.Second: registry.Invalid, time.Millisecond - 1: registry.Invalid, time.Millisecond: "",
		24 * time.Hour: "", 24*time.Hour + 1: registry.Invalid, registry.DefaultWindow: "",
	} {
		_, err := r.service.OpenWindow(t.Context(), r.admin, d)
		wantCode(t, d.String(), err, code)
	}
	_, err := r.service.OpenWindow(t.Context(), r.admin, -1)
	wantField(t, "-1", err, registry.Invalid, "duration")
}

// TestHowAWindowEndsMakesNoDifference locks by hand and by the clock, and looks
// at what is left right after, when the window is opened again, and when nobody
// swept in between.
func TestHowAWindowEndsMakesNoDifference(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"locked by hand":           func(r *rig) { must(r.t, r.service.LockWindow(r.t.Context(), r.admin)) },
		"its time is over":         func(r *rig) { r.turn(time.Minute) },
		"its time is over, swept":  func(r *rig) { r.turn(time.Minute); r.sweep() },
		"the clock was set back":   func(r *rig) { r.turn(-2 * time.Minute) },
		"over, and started again":  func(r *rig) { r.turn(time.Minute); r.restart() },
		"locked on another node":   func(r *rig) { must(r.t, r.node().service.LockWindow(r.t.Context(), r.admin)) },
		"over, as another sees it": func(r *rig) { n := r.node(); n.turn(time.Minute); r.turn(time.Minute); n.sweep() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ctx := t.Context()
			r.openWindow(time.Minute)
			for _, n := range []string{"pending", "denied", "granted"} {
				r.register(request(n), registry.RegistrationPending)
			}
			must(t, r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: "denied"}))
			r.confirm("granted")
			end(r)

			if got := r.status(); !got.Locked {
				t.Fatalf("the window is %+v", got)
			}
			if got := r.pending(); len(got) != 0 {
				t.Errorf("pending: %v", got)
			}
			_, _, err := r.service.Confirm(ctx, r.admin, registry.Confirmation{Username: "pending"})
			wantCode(t, "confirm", err, registry.NotFound)
			wantCode(t, "deny", r.service.Deny(ctx, r.admin, registry.RegistrationRef{Username: "pending"}), registry.NotFound)
			r.register(request("pending"), registry.RegistrationLocked)
			r.register(request("denied"), registry.RegistrationLocked)

			r.openWindow(time.Minute)
			if got := r.pending(); len(got) != 0 {
				t.Errorf("pending in the next window: %v", got)
			}
			_, _, err = r.service.Confirm(ctx, r.admin, registry.Confirmation{Username: "pending"})
			wantCode(t, "confirm in the next window", err, registry.NotFound)
			r.register(request("granted"), registry.RegistrationGranted)
			other := request("pending")
			other.Password = "another-secret" // the name is free again
			r.register(other, registry.RegistrationPending)
			r.register(request("denied"), registry.RegistrationPending)
		})
	}
}

func TestOpeningAnOpenWindowStartsItAgainAndKeepsWhatIsPending(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Hour)
	r.register(request("gateway"), registry.RegistrationPending)
	r.openWindow(time.Minute) // shorter
	if got := r.status(); got.Remaining > time.Minute {
		t.Errorf("open again for a minute: %+v", got)
	}
	if got := r.pending(); len(got) != 1 {
		t.Errorf("pending: %v", got)
	}
	r.turn(2 * time.Minute)
	if !r.status().Locked {
		t.Error("the first duration still counts")
	}
}

func TestTheWindowIsOneForAllNodesAndSurvivesARestart(t *testing.T) {
	r := newRig(t)
	other := r.node()
	r.openWindow(time.Minute)
	other.register(request("gateway"), registry.RegistrationPending)
	r.restart()
	r.register(request("gateway"), registry.RegistrationPending)
	if got := r.pending(); len(got) != 1 {
		t.Fatalf("pending: %v", got)
	}
	r.confirm("gateway")
	other.register(request("gateway"), registry.RegistrationGranted)

	ahead := r.node()
	ahead.turn(30 * time.Second) // its clock is wrong, but not by much
	ahead.register(request("second"), registry.RegistrationPending)
	behind := r.node()
	behind.turn(-30 * time.Second)
	behind.register(request("second"), registry.RegistrationPending)
}

func TestNobodySweepsWhatCounts(t *testing.T) {
	r := newRig(t)
	r.openWindow(time.Hour)
	r.register(request("pending"), registry.RegistrationPending)
	r.register(request("granted"), registry.RegistrationPending)
	r.confirm("granted")
	if n := r.sweep(); n != 0 {
		t.Errorf("swept %d", n)
	}
	r.turn(2 * time.Hour)
	if n := r.sweep(); n != 2 {
		t.Errorf("swept %d, want 2", n)
	}
}
