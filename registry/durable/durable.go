// Package durable writes files that are there with all of their content or not at
// all, also after a loss of power. Errors name the file that was asked for, never the one
// that is written beside it first. It imports nothing of ours.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts a file in the place of what path names, if anything, and returns when
// that is durable.
func Write(path string, b []byte, mode os.FileMode) error {
	beside, err := beside(path, b, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return errors.Join(about(path, err), about(path, os.Remove(beside)))
	}
	return SyncDir(filepath.Dir(path))
}

// WriteNew is Write for a path that names nothing yet: the error is fs.ErrExist
// otherwise.
func WriteNew(path string, b []byte, mode os.FileMode) error {
	beside, err := beside(path, b, mode)
	if err != nil {
		return err
	}
	defer os.Remove(beside)                       //nolint:errcheck // what stays is as private as the file itself
	if err := os.Link(beside, path); err != nil { // unlike a rename, it fails when path exists
		return about(path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// about returns an error of the file beside, the first of several, as one of the file at
// path.
func about(path string, err error) error {
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// beside writes a file next to path and returns where it is.
func beside(path string, b []byte, mode os.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // O_EXCL, 0600
	if err != nil {
		return "", about(path, err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(about(path, err), about(path, os.Remove(f.Name())))
	}
	return f.Name(), nil
}

// SyncDir makes durable which files are in a directory.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
