package secret

import (
	"fmt"
	"io"
)

// RandomPassword returns a password of 100 bits from r, which should be
// crypto/rand.Reader, to be read by a person and typed once: four groups of five,
// none of 0, o, 1 and l.
func RandomPassword(r io.Reader) (string, error) {
	const (
		alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32, so five bits choose evenly
		length   = 20
		group    = 5
	)
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", fmt.Errorf("secret: random password: %w", err)
	}
	password := make([]byte, 0, length+length/group-1)
	for i, c := range b {
		if i > 0 && i%group == 0 {
			password = append(password, '-')
		}
		password = append(password, alphabet[c%32])
	}
	return string(password), nil
}
