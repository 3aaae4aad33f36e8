package secret

import (
	"errors"
	"strings"
)

// MaxPassword is the longest password, in bytes. A longer one can not be stored and is
// never right; nor is the empty one.
const MaxPassword = 1024

// maxEncoded is the longest stored hash, in bytes.
const maxEncoded = 512

// ErrFormat says that a stored hash is of no known format, or asks for more work
// than Params.Validate allows. Nobody can sign in with it.
var ErrFormat = errors.New("secret: stored hash is malformed, unknown or too costly")

// ErrPassword says that a password can not be stored: see MaxPassword.
var ErrPassword = errors.New("secret: password is empty or longer than 1024 bytes")

// usable reports whether password may be stored or be right.
func usable(password string) bool {
	return password != "" && len(password) <= MaxPassword
}

// A format is a form of stored hashes.
type format struct {
	prefix string

	// parse returns the check of one stored hash. It is strict, and refuses a hash that
	// costs more than Params.Validate allows. The check is the expensive part: it
	// counts as a worker of the Pool, and compares in constant time.
	parse func(encoded string) (check func(password string) bool, err error)
}

// formats returns the formats that are verified. Pool.Hash writes the first.
func formats() []format {
	return []format{
		{"$argon2id$", checkArgon2id},
	}
}

// parse finds the format of encoded in the table and returns its check.
func parse(table []format, encoded string) (func(password string) bool, error) {
	if len(encoded) > maxEncoded {
		return nil, ErrFormat
	}
	for _, f := range table {
		if strings.HasPrefix(encoded, f.prefix) {
			return f.parse(encoded)
		}
	}
	return nil, ErrFormat
}
