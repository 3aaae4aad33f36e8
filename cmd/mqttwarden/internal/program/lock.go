package program

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dataLock keeps two servers from one data directory, and what replaces the
// store from a server that runs. It ends with the process, however that ends.
type dataLock struct{ file *os.File }

// lockData takes the lock of the directory, or says that somebody holds it.
func lockData(dir string) (*dataLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s: another mqttwarden uses this data directory", dir)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &dataLock{f}, nil
}

// release gives the lock back. It unlocks first: a process that was just forked
// holds the file open, too, until it becomes another program.
func (l *dataLock) release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
