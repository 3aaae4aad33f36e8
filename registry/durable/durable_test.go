package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mqttwarden/registry/durable"
)

func wantFile(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != content {
		t.Errorf("got %q, %v; want %q", b, err, content)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != mode {
		t.Errorf("got %v, %v; want mode %v", info.Mode(), err, mode)
	}
	if all, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(all) != 0 {
		t.Errorf("%q were left behind", all)
	}
}

func TestWriteReplacesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"a longer one", "short", ""} {
		if err := durable.Write(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, content, 0o644)
	}
}

func TestWriteNewReplacesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.WriteNew(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteNew(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	wantFile(t, path, "first", 0o600)
}

// TestErrorsNameTheFile: nobody knows the name of the file that is written first.
func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	directory, file := filepath.Join(dir, "directory"), filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(directory, 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		write      func(string, []byte, os.FileMode) error
		want       error
	}{
		{"over a directory", directory, durable.Write, fs.ErrExist},
		{"what exists", file, durable.WriteNew, fs.ErrExist},
		{"in a directory that is not there", filepath.Join(dir, "no", "file"), durable.Write, fs.ErrNotExist},
		{"the same, new", filepath.Join(dir, "no", "file"), durable.WriteNew, fs.ErrNotExist},
		{"below a file", filepath.Join(file, "file"), durable.WriteNew, syscall.ENOTDIR},
	} {
		err := tt.write(tt.path, []byte("x"), 0o600)
		if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "write "+tt.path+": ") || strings.Contains(err.Error(), "/.") {
			t.Errorf("%s: got %v, want %v of %s", tt.name, err, tt.want, tt.path)
		}
	}
}

func TestWhatCannotBeWrittenLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.Mkdir(path, 0o700); err != nil { // a file can't take the place of a directory
		t.Fatal(err)
	}
	for name, write := range map[string]func(string, []byte, os.FileMode) error{"Write": durable.Write, "WriteNew": durable.WriteNew} {
		if err := write(path, []byte("x"), 0o600); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if err := write(filepath.Join(dir, "no", "file"), []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", name, err)
		}
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("got %v, want the directory alone", all)
	}
}
