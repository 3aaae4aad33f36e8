package secret

import (
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
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: master key file: %w", err)
	}
	defer f.Close()
	ring, err := readKeyFile(f)
	if err != nil {
		return nil, fmt.Errorf("secret: master key file %s: %w", path, err)
	}
	return ring, nil
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
	if err := writeNew(path, keyFileHead+keyLine(ring.keys[0])); err != nil {
		return nil, fmt.Errorf("secret: create master key file: %w", err)
	}
	return ring, nil
}

// readKeyFile reads the keys in a file that only its owner may use.
func readKeyFile(f *os.File) (*KeyRing, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("mode %04o lets others use it: must be 0600 or less", info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	return parseKeyFile(text)
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

// writeNew makes a file, mode 0600, and returns when it is durable. It is there
// with all of its text or not at all. The error is fs.ErrExist if path exists.
func writeNew(path, text string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // O_EXCL, 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // what stays is as private as the file itself
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, it fails when path exists
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
