package restart

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// What a folder of data must hold, and who may make it.

func TestOnlyServeMakesAStore(t *testing.T) {
	for _, command := range [][]string{
		{"user", "set-password", "admin"},
		{"ca", "init"},
		{"ca", "list"},
		{"ca", "export"},
		{"ca", "revoke", "01"},
	} {
		for _, place := range []string{"a folder that is not there", "an empty folder", "a folder with a key and no store"} {
			t.Run(strings.Join(command, " ")+" on "+place, func(t *testing.T) {
				dir := t.TempDir()
				want := 0
				switch place {
				case "a folder that is not there":
					dir = filepath.Join(dir, "typo")
				case "a folder with a key and no store":
					makeKey(t, dir)
					want = 1
				}
				_, log, err := rig.Attempt(t, nil, "a new pass-word\n", append(command, "--data-dir", dir)...)
				if err == nil || !strings.Contains(err.Error(), "no store in "+dir) {
					t.Errorf("got %v, want an error that says no store in %s\n%s", err, dir, log)
				}
				if got := names(t, dir); len(got) != want {
					t.Errorf("the folder holds %q afterwards, want %d files", got, want)
				}
			})
		}
	}
}

func TestMissingMasterKeyIsNotReplaced(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"ca", "list"}, {"user", "set-password", "admin"}} {
		t.Run(args[0], func(t *testing.T) {
			dir := rig.UsedDir(t)
			key := filepath.Join(dir, "master.key")
			if err := os.Remove(key); err != nil {
				t.Fatal(err)
			}
			args := append(args, "--data-dir", dir)
			if args[0] == "serve" {
				args = rig.ServeArgs(dir)
			}
			_, _, err := rig.Attempt(t, nil, "a new pass-word\n", args...)
			if err == nil || !strings.Contains(err.Error(), key+" is missing") || !strings.Contains(err.Error(), "put the original") {
				t.Errorf("got %v, want an error that says what is missing and what to do", err)
			}
			if _, err := os.Stat(key); !os.IsNotExist(err) {
				t.Errorf("another key was made: %v", err)
			}
		})
	}
}

// A first start that fails, whatever address is taken, leaves the first start to
// the next one.
func TestFailedFirstStartNeverWas(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, setting := range []string{"--mqtt-addr", "--mqtts-addr", "--ws-addr", "--wss-addr", "--http-addr", "--https-addr", "--metrics-addr"} {
		t.Run(setting, func(t *testing.T) {
			dir := t.TempDir()
			out, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(dir, setting, taken.Addr().String())...)
			if err == nil || !strings.Contains(err.Error(), "address already in use") {
				t.Fatalf("got %v, want an error about the address", err)
			}
			if out != "" {
				t.Errorf("it printed %q", out)
			}
			for _, name := range names(t, dir) {
				if name != "lock" {
					t.Errorf("it made %s", name)
				}
			}
			p := rig.LaunchIn(t, dir)
			p.Login("admin", firstPassword(t, p.Out.String()))
		})
	}
}

// A password that can't be shown is not set.
func TestFirstPasswordThatCanNotBePrintedIsNotSet(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	dir := t.TempDir()
	cmd := rig.Self(t, rig.ServeArgs(dir)...)
	cmd.Stdout = full
	if err := cmd.Run(); err == nil {
		t.Fatal("it ended without an error")
	}
	p := rig.LaunchIn(t, dir)
	p.Login("admin", firstPassword(t, p.Out.String()))
}

// People copy the one file that has the name of the store.
func TestMainFileAloneIsTheStore(t *testing.T) {
	p := rig.Spawn(t, t.TempDir(), "--admin-password", rig.AdminPassword)
	dir := copyMainFile(t, p.Dir)
	p.Kill()
	alone := rig.LaunchIn(t, dir)
	if strings.Contains(alone.Out.String(), "First start") {
		t.Errorf("the copy is taken for a new store: %s", alone.Out)
	}
	alone.Login("admin", rig.AdminPassword)
}

// The main file follows what is written, without a stop.
func TestMainFileFollowsWhatIsWritten(t *testing.T) {
	p := rig.LaunchQuick(t)
	p.User("written-meanwhile")
	rig.Eventually(t, func() error {
		b, err := os.ReadFile(filepath.Join(p.Dir, "mqttwarden.db"))
		if err == nil && !bytes.Contains(b, []byte("written-meanwhile")) {
			err = errors.New("the main file lacks the user")
		}
		return err
	})
}

func TestKeyWithoutAStoreIsTold(t *testing.T) {
	dir := t.TempDir()
	makeKey(t, dir)
	p := rig.LaunchIn(t, dir)
	if !strings.Contains(p.Log.String(), "level=WARN") || !strings.Contains(p.Log.String(), "master key") {
		t.Errorf("no warning that the store is new and the key is not:\n%s", p.Log)
	}
	fresh := rig.LaunchIn(t, t.TempDir())
	if strings.Contains(fresh.Log.String(), "level=WARN") {
		t.Errorf("a first start warns:\n%s", fresh.Log)
	}
}

func makeKey(t *testing.T, dir string) {
	t.Helper()
	if _, _, err := rig.Attempt(t, nil, "", "key", "new", filepath.Join(dir, "master.key")); err != nil {
		t.Fatal(err)
	}
}

// copyMainFile copies the main file of the store and the master key to a new folder.
func copyMainFile(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"mqttwarden.db", "master.key"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// names returns the names of what is in a folder, none if it is not there.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func firstPassword(t *testing.T, out string) string {
	t.Helper()
	_, password, found := strings.Cut(out, `user "admin", password `)
	password, _, _ = strings.Cut(password, "\n")
	if !found {
		t.Fatalf("no password in %q", out)
	}
	return password
}
