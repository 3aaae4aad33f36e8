package secret

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Lengths in bytes: what we write, and what we accept (RFC 9106 section 3.1
// allows more, and a tag of four bytes, which anyone could guess).
const (
	saltLen, minSalt, maxSalt = 16, 8, 64
	sumLen, minSum, maxSum    = 32, 16, 64
)

// argon2id is a stored Argon2id hash.
type argon2id struct {
	params Params
	salt   []byte
	sum    []byte
}

// newArgon2id returns a hash of password with a new salt.
func newArgon2id(p Params, rand io.Reader, password string) (argon2id, error) {
	h := argon2id{params: p, salt: make([]byte, saltLen)}
	if _, err := io.ReadFull(rand, h.salt); err != nil {
		return argon2id{}, fmt.Errorf("secret: salt: %w", err)
	}
	h.sum = h.derive(password, sumLen)
	return h, nil
}

// String returns h in the PHC string format.
func (h argon2id) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.Memory, h.params.Time, h.params.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum))
}

func (h argon2id) derive(password string, n int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.params.Time, h.params.Memory, h.params.Threads,
		uint32(n)) //nolint:gosec // at most maxSum
}

func (h argon2id) check(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.sum)), h.sum) == 1
}

// checkArgon2id returns the check of an Argon2id hash, for the table of formats.
func checkArgon2id(encoded string) (func(password string) bool, error) {
	h, err := parseArgon2id(encoded)
	if err != nil {
		return nil, err
	}
	return h.check, nil
}

// parseArgon2id reads the one spelling that String writes, of Argon2 version 1.3,
// without key id and associated data. Its error is always ErrFormat.
func parseArgon2id(encoded string) (argon2id, error) {
	if len(encoded) > maxEncoded {
		return argon2id{}, ErrFormat
	}
	part := strings.Split(encoded, "$")
	if len(part) != 6 {
		return argon2id{}, ErrFormat
	}
	cost := strings.Split(part[3], ",")
	if len(cost) != 3 {
		return argon2id{}, ErrFormat
	}
	memory, errM := number(cost[0], "m=")
	time, errT := number(cost[1], "t=")
	threads, errP := number(cost[2], "p=")
	salt, errSalt := base64.RawStdEncoding.DecodeString(part[4])
	sum, errSum := base64.RawStdEncoding.DecodeString(part[5])
	for _, err := range []error{errM, errT, errP, errSalt, errSum} {
		if err != nil {
			return argon2id{}, ErrFormat
		}
	}
	if threads > maxThreads {
		return argon2id{}, ErrFormat
	}
	h := argon2id{
		params: Params{Memory: memory, Time: time, Threads: uint8(threads)},
		salt:   salt,
		sum:    sum,
	}
	switch {
	case h.params.Validate() != nil,
		len(salt) < minSalt, len(salt) > maxSalt,
		len(sum) < minSum, len(sum) > maxSum,
		h.String() != encoded: // leading zeros, line breaks in the base64, other versions, …
		return argon2id{}, ErrFormat
	}
	return h, nil
}

// number reads the number after prefix.
func number(s, prefix string) (uint32, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, ErrFormat
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err
}
