package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// line returns the line of a master key file for testKey(n).
func line(tb testing.TB, n byte) string {
	tb.Helper()
	return keyLine(ringOf(tb, testKey(n)).keys[0])
}

func TestParseKeyFile(t *testing.T) {
	one, two := line(t, 1), line(t, 2)
	id, key, _ := strings.Cut(strings.TrimSuffix(one, "\n"), " ")
	var many strings.Builder
	for i := range maxKeys + 1 {
		many.WriteString(line(t, byte(i)))
	}
	tests := []struct {
		name, text string
		keys       int    // 0 when it is refused
		because    string // part of the error
	}{
		{"one key", one, 1, ""},
		{"two keys", one + two, 2, ""},
		{"comments and empty lines", "# a\n\n" + one + "\n#b\n" + two, 2, ""},
		{"a last line without its end", id + " " + key, 1, ""},
		{"empty", "", 0, "no key"},
		{"only comments", "# " + one, 0, "no key"},
		{"a key alone", key + "\n", 0, "line 1: must be"},
		{"an id alone", "#\n" + id + "\n", 0, "line 2: must be"},
		{"the wrong way round", key + " " + id + "\n", 0, "line 1: must be"},
		{"the id of another key", id + strings.TrimPrefix(two, two[:16]), 0, "line 1: the key is not"},
		{"an altered key", id + " B" + key[1:], 0, "line 1: the key is not"},
		{"a short key", id + " " + base64.StdEncoding.EncodeToString(testKey(1)[1:]), 0, "line 1: must be"},
		{"without padding", id + " " + strings.TrimRight(key, "="), 0, "line 1: must be"},
		{"bits beyond the last byte", id + " " + key[:42] + "F=", 0, "line 1: must be"},
		{"capital id", strings.ToUpper(id) + " " + key, 0, "line 1: the key is not"},
		{"two spaces", id + "  " + key, 0, "line 1: must be"},
		{"a tab", id + "\t" + key, 0, "line 1: must be"},
		{"a space before", " " + one, 0, "line 1: must be"},
		{"a space behind", id + " " + key + " \n", 0, "line 1: must be"},
		{"a comment behind", id + " " + key + " # new\n", 0, "line 1: must be"},
		{"carriage returns", id + " " + key + "\r\n", 0, "line 1: must be"},
		{"a byte order mark", "\ufeff" + one, 0, "line 1: must be"},
		{"a key twice", one + two + one, 0, "line 3: the same"},
		{"too many keys", many.String(), 0, "more than 32"},
		{"too long", one + strings.Repeat("#", maxKeyFile), 0, "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			ring, err := LoadKeyRing(path)
			switch {
			case tt.keys > 0 && err != nil:
				t.Errorf("error %v", err)
			case tt.keys > 0 && (len(ring.IDs()) != tt.keys || ring.ID() != id):
				t.Errorf("got %v", ring)
			case tt.keys == 0 && err == nil:
				t.Errorf("accepted as %v", ring)
			case tt.keys == 0 && !strings.Contains(err.Error(), tt.because):
				t.Errorf("error %q, want %q in it", err, tt.because)
			case tt.keys == 0 && (strings.Contains(err.Error(), key[:6]) || !strings.Contains(err.Error(), path)):
				t.Errorf("error %q shows the key, or not the file", err)
			}
		})
	}
}

func TestLoadKeyRingRefusesWhatOthersMayUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte(line(t, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true,
		0o640: false, 0o604: false, 0o620: false, 0o602: false, 0o610: false, 0o601: false, 0o644: false,
	} {
		chmod(t, path, mode)
		_, err := LoadKeyRing(path)
		if (err == nil) != ok {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if !ok && !strings.Contains(err.Error(), fmt.Sprintf("%04o", mode)) {
			t.Errorf("mode %04o: error %q does not name it", mode, err)
		}
	}
	if _, err := LoadKeyRing(filepath.Dir(path)); err == nil {
		t.Error("read a directory")
	}
	if _, err := LoadKeyRing(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v, want fs.ErrNotExist", err)
	}
}

func TestCreateKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	made, err := CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	loaded, err := LoadKeyRing(path)
	if err != nil || !slices.Equal(loaded.IDs(), made.IDs()) {
		t.Errorf("loaded %v, %v, made %v", loaded, err, made)
	}
	if ring, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) || ring != nil {
		t.Errorf("made it again: %v, %v", ring, err)
	}
	if again, err := LoadKeyRing(path); err != nil || again.ID() != made.ID() {
		t.Errorf("changed to %v, %v", again, err)
	}
	other, err := CreateKeyFile(filepath.Join(dir, "other.key"))
	if err != nil || other.ID() == made.ID() {
		t.Errorf("another file: %v, %v", other, err)
	}
	if _, err := CreateKeyFile(filepath.Join(dir, "missing", "master.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: %v", err)
	}
	onlyFiles(t, dir, "master.key", "other.key")
}

func TestCreateKeyFileDoesNotFollowALink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want fs.ErrExist", err)
	}
	onlyFiles(t, dir, "master.key")
}

func TestOfManyWhoCreateOneWinsAndAllAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	var (
		wg   sync.WaitGroup
		made atomic.Int32
		ids  sync.Map
	)
	for range 16 {
		wg.Go(func() {
			ring, err := CreateKeyFile(path)
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, fs.ErrExist):
				ring, err = LoadKeyRing(path) // whole at once
			}
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(ring.ID(), true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if made.Load() != 1 || n != 1 {
		t.Errorf("%d made it, %d ids", made.Load(), n)
	}
	onlyFiles(t, filepath.Dir(path), "master.key")
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// onlyFiles checks that dir holds these files and no temporary ones.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

// FuzzKeyFile checks that what is accepted has one spelling, and that no error
// quotes what it refuses.
func FuzzKeyFile(f *testing.F) {
	f.Add("# comment\n" + line(f, 1) + "\n" + line(f, 2))
	f.Add(line(f, 1)[:40])
	f.Add(line(f, 1)[17:])
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := parseKeyFile([]byte(text))
		if err != nil {
			for _, word := range strings.Fields(text) {
				if len(word) > 16 && strings.Contains(err.Error(), word) {
					t.Errorf("error %q quotes %q", err, word)
				}
			}
			return
		}
		var want strings.Builder
		for l := range strings.Lines(text) {
			if l != "\n" && l[0] != '#' {
				want.WriteString(strings.TrimSuffix(l, "\n") + "\n")
			}
		}
		var got strings.Builder
		for _, k := range ring.keys {
			got.WriteString(keyLine(k))
		}
		if got.String() != want.String() {
			t.Errorf("%q is read as %q", want.String(), got.String())
		}
	})
}
