package restart

import (
	"os"
	"path/filepath"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// After an orderly restart a device that was known costs no hash, and what was written
// for that is gone once it is read.
func TestRightPasswordsAreKnownAfterARestart(t *testing.T) {
	p := rig.Launch(t)
	p.User("gw1")
	p.Connect(rig.As("gw1", "g"))
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, "signins.sealed")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want a file for its owner alone", info, err)
	}
	again := rig.LaunchIn(t, p.Dir)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file lies about: %v", err)
	}
	before := hashes(again)
	again.Connect(rig.As("gw1", "g"))
	if got := hashes(again); got != before {
		t.Errorf("got %v hashes for a password that was known, want none", got-before)
	}
	wrong := rig.As("gw1", "g")
	wrong.Password = "wrong-password"
	rig.WantCode(t, "a wrong password", again.Dial(5).Connect(wrong).ReasonCode, rig.BadCredentials)
}

// What can't be used costs hashes and no start.
func TestDamagedMemoryOfPasswordsIsNotUsed(t *testing.T) {
	dir := rig.UsedDir(t)
	if err := os.WriteFile(filepath.Join(dir, "signins.sealed"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := rig.LaunchIn(t, dir)
	p.Login("admin", rig.AdminPassword)
}

func TestMemoryOfPasswordsCanBeSwitchedOff(t *testing.T) {
	p := rig.Launch(t, "--hash-remember", "off")
	p.AsAdmin()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "signins.sealed")); !os.IsNotExist(err) {
		t.Errorf("got %v, want no file", err)
	}
}

func hashes(p *rig.Program) float64 { return p.Metric("mqttwarden_hash_done_total") }
