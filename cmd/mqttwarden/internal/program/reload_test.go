package program

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/logtest"
)

func TestWhatCountsAsAChangeOfFiles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(dir string) error
		want   bool
	}{
		{"nothing", func(string) error { return nil }, false},
		{"another file beside them", func(dir string) error { return os.WriteFile(dir+"/v1/other", nil, 0o600) }, false},
		{"the second one is longer", func(dir string) error { return os.WriteFile(dir+"/v1/two", []byte("longer"), 0o600) }, true},
		{"the first one is newer", func(dir string) error {
			return os.Chtimes(dir+"/v1/one", time.Time{}, time.Now().Add(time.Hour))
		}, true},
		{"the first one is older, as from a backup", func(dir string) error {
			return os.Chtimes(dir+"/v1/one", time.Time{}, time.Now().Add(-time.Hour))
		}, true},
		{"one is gone", func(dir string) error { return os.Remove(dir + "/v1/one") }, true},
		{"one may be read now", func(dir string) error { return os.Chmod(dir+"/v1/one", 0o400) }, true},
		{"the link to their directory leads elsewhere", func(dir string) error {
			return errors.Join(os.Symlink("v2", dir+"/next"), os.Rename(dir+"/next", dir+"/now"))
		}, true},
	} {
		dir := t.TempDir()
		for _, version := range []string{"v1", "v2"} {
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"one", "two"} {
				if err := os.WriteFile(filepath.Join(dir, version, name), []byte(version), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(os.Chtimes(dir+"/v2/one", time.Time{}, time.Unix(1e9, 0)), os.Symlink("v1", dir+"/now")); err != nil {
			t.Fatal(err)
		}
		w := watch(dir+"/now/one", dir+"/now/two")
		if w.changed() {
			t.Errorf("%s: changed before", tt.name)
		}
		if err := tt.change(dir); err != nil {
			t.Fatal(err)
		}
		if got := w.changed(); got != tt.want {
			t.Errorf("%s: changed: %t, want %t", tt.name, got, tt.want)
		}
		if w.changed() {
			t.Errorf("%s: changed twice", tt.name)
		}
	}
}

func TestFilesThatCannotBeUsedAreToldOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	reads, broken := 0, true
	log, out := logtest.New()
	r := &reloads{log: log, now: time.Now}
	r.add("tls-cert", watch(file), func(context.Context) error {
		if reads++; broken {
			return errors.New("no certificate in it")
		}
		return nil
	})
	check := func(when string, wantReads, wantErrors int) {
		t.Helper()
		if got := strings.Count(out.String(), "can't be used"); reads != wantReads || got != wantErrors {
			t.Errorf("%s: read %d times and told %d times, want %d and %d", when, reads, got, wantReads, wantErrors)
		}
	}
	r.look(t.Context())
	check("nothing has changed", 0, 0)
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.look(t.Context())
	}
	check("it has changed", 1, 1)
	r.all(t.Context())
	check("somebody asked", 2, 2)
	broken = false
	if err := os.WriteFile(file, []byte("a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.look(t.Context())
	}
	check("it is right again", 3, 2)
}

// TestFilesThatComeOneAfterTheOtherAreWaitedFor (O12): a key that follows its certificate
// is no error, and one that does not come is told.
func TestFilesThatComeOneAfterTheOtherAreWaitedFor(t *testing.T) {
	file, now, fits := filepath.Join(t.TempDir(), "file"), noon(), false
	log, out := logtest.New()
	r := &reloads{log: log, settle: 10 * time.Second, now: func() time.Time { return now }}
	r.add("tls-cert, tls-key", watch(file), func(context.Context) error {
		if !fits {
			return errors.New("not the key of the certificate")
		}
		return nil
	})
	size := 0
	replace := func(then bool) func() {
		return func() {
			fits = then
			size++
			if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait := func(d time.Duration) func() { return func() { now = now.Add(d) } }
	for _, tt := range []struct {
		name              string
		do                func()
		wantTold, wantNew int
	}{
		{"the certificate comes", replace(false), 0, 0},
		{"nothing for a while", wait(9 * time.Second), 0, 0},
		{"the key comes", replace(true), 0, 1},
		{"much later", wait(time.Hour), 0, 1},
		{"another certificate comes", replace(false), 0, 1},
		{"and one more", func() { wait(6 * time.Second)(); replace(false)() }, 0, 1},
		{"no key comes", wait(4 * time.Second), 1, 1},
		{"much later again", wait(time.Hour), 1, 1},
		{"a key that needs no change of the file's likeness", func() { fits = true }, 1, 1},
		{"a change after that", replace(true), 1, 2},
		{"a certificate, and SIGHUP before its key", func() { replace(false)(); r.all(t.Context()) }, 2, 2},
		{"and then", wait(time.Hour), 2, 2},
	} {
		tt.do()
		r.look(t.Context())
		if told, read := out.Count("can't be used"), out.Count("read again"); told != tt.wantTold || read != tt.wantNew {
			t.Errorf("%s: told %d errors and %d readings, want %d and %d", tt.name, told, read, tt.wantTold, tt.wantNew)
		}
	}
}

func TestChoresAreDoneInTheirTime(t *testing.T) {
	now := time.Unix(1e9, 0)
	var did []string
	does := func(name string, every time.Duration, err error) chore {
		return chore{name, every, func(context.Context) error { did = append(did, name); return err }}
	}
	log, out := logtest.New()
	j := &janitor{
		chores: []chore{does("often", time.Second, nil), does("seldom", time.Hour, errors.New("no luck"))},
		now:    func() time.Time { return now }, log: log, due: make(map[string]time.Time),
	}
	for _, tt := range []struct {
		name string
		wait time.Duration
		want []string
	}{
		{"at once", 0, []string{"often", "seldom"}},
		{"too early", time.Second - 1, nil},
		{"one is due", 1, []string{"often"}},
		{"both are due", time.Hour, []string{"often", "seldom"}},
	} {
		did = nil
		now = now.Add(tt.wait)
		j.round(t.Context())
		if !slices.Equal(did, tt.want) {
			t.Errorf("%s: did %v, want %v", tt.name, did, tt.want)
		}
	}
	if got := strings.Count(out.String(), `chore=seldom err="no luck"`); got != 2 {
		t.Errorf("told %d times, want twice", got)
	}
}
