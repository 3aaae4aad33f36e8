package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxKeyFile is the longest master key file that is read, in bytes.
const maxKeyFile = 64 << 10

const keyFileHead = `# mqttwarden master keys, one a line: the id, a space, the key in base64.
# The first key seals, all of them open. Keep this file secret, and keep a copy
# apart from the data: without it, what is sealed is lost.
`

// LoadKeyRing reads a master key file: one key a line, as "<id> <key>" with 16
// hexadecimal digits and the base64 of 32 bytes; empty lines and lines that start
// with # are skipped. It refuses a file that anyone but its owner may use
// (mode & 077), one with anything else in it, and one without a key. Errors name
// the line, never what is in it.
func LoadKeyRing(path string) (*KeyRing, error) {
	ring, _, err := readKeyFile(path)
	return ring, err
}

// CreateKeyFile makes a master key file with one new key, mode 0600, and returns
// when it is durable. If path exists, the error is fs.ErrExist and nothing is
// changed. Of several callers at once one succeeds, and the others can load the
// whole file as soon as they are told.
func CreateKeyFile(path string) (*KeyRing, error) {
	key := newKey()
	ring, err := NewKeyRing(key)
	if err != nil {
		return nil, err
	}
	err = writeBeside(path, append([]byte(keyFileHead), keyLine(ring.keys[0])...), func(temp string) error {
		return os.Link(temp, path) // unlike a rename, it fails when path exists
	})
	if err != nil {
		return nil, fmt.Errorf("secret: create master key file: %w", err)
	}
	return ring, nil
}

// RotateKeyFile puts a new key in front of those in the file and returns when
// that is durable. The old keys stay, to open what they sealed; when everything
// is sealed anew (see SealedBy) their lines may be removed.
//
// Only one may rotate a file at a time. Other nodes can not open what the new key
// seals before they have loaded it: they stop first, or get the new key as their
// last one before it becomes anyone's first.
func RotateKeyFile(path string) (*KeyRing, error) {
	path, err := filepath.EvalSymlinks(path) // replace the file, not a link to it
	if err != nil {
		return nil, fmt.Errorf("secret: rotate master key: %w", err)
	}
	_, old, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	k, err := newMasterKey(newKey())
	if err != nil {
		return nil, err
	}
	text := append([]byte(keyLine(k)), old...)
	ring, err := parseKeyFile(text)
	if err != nil {
		return nil, fmt.Errorf("secret: rotate master key: %w", err)
	}
	err = writeBeside(path, text, func(temp string) error { return os.Rename(temp, path) })
	if err != nil {
		return nil, fmt.Errorf("secret: rotate master key: %w", err)
	}
	return ring, nil
}

func readKeyFile(path string) (*KeyRing, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("secret: master key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("secret: master key file: %w", err)
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("secret: master key file %s: not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, nil, fmt.Errorf("secret: master key file %s: mode %04o lets others use it: must be 0600 or less",
			path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("secret: master key file: %w", err)
	}
	ring, err := parseKeyFile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("secret: master key file %s: %w", path, err)
	}
	return ring, text, nil
}

func parseKeyFile(text []byte) (*KeyRing, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("longer than %d bytes", maxKeyFile)
	}
	ring := &KeyRing{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseKeyLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case ring.Has(k.name()):
			return nil, fmt.Errorf("line %d: the same key again", n)
		case len(ring.keys) == maxKeys:
			return nil, fmt.Errorf("line %d: more than %d keys", n, maxKeys)
		}
		ring.keys = append(ring.keys, k)
	}
	if len(ring.keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return ring, nil
}

// parseKeyLine reads the one spelling that keyLine writes. The causes of its
// errors are dropped: they could quote the key.
func parseKeyLine(line string) (*masterKey, error) {
	malformed := errors.New("must be 16 hexadecimal digits, a space and the base64 of 32 bytes")
	id, encoded, ok := strings.Cut(line, " ")
	if !ok || len(id) != 2*idLen {
		return nil, malformed
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != keyLen || base64.StdEncoding.EncodeToString(b) != encoded {
		return nil, malformed
	}
	k, err := newMasterKey(b)
	if err != nil {
		return nil, err
	}
	if k.name() != id {
		return nil, errors.New("the key is not the one that its id names: it was altered")
	}
	return k, nil
}

func keyLine(k *masterKey) string {
	return k.name() + " " + base64.StdEncoding.EncodeToString(k.secret[:]) + "\n"
}

func newKey() []byte {
	b := make([]byte, keyLen)
	_, _ = rand.Read(b) // never fails
	return b
}

// writeBeside writes text to a temporary file in the directory of path, mode
// 0600, lets publish give it its name, and returns when both are durable.
func writeBeside(path string, text []byte, publish func(temp string) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // O_EXCL, 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already after a rename
	_, err = io.Copy(f, bytes.NewReader(text))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := publish(f.Name()); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
