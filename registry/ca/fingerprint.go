package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
)

// Fingerprint returns the SHA-256 of the certificate's DER as 64 lower-case
// hexadecimal digits: the one form in which it is stored and compared.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// NormalizeFingerprint brings a SHA-256 fingerprint as people write it, with
// upper case, colons and blanks, to the form of [Fingerprint]. Anything that is
// not exactly 32 bytes is an error, which does not repeat it.
func NormalizeFingerprint(s string) (string, error) {
	const longest = 256 // bytes, separators included
	if len(s) > longest {
		return "", errors.New("ca: fingerprint is too long")
	}
	digits := strings.ToLower(strings.Map(func(r rune) rune {
		switch r {
		case ':', ' ', '\t', '\r', '\n':
			return -1
		}
		return r
	}, s))
	b, err := hex.DecodeString(digits)
	if err != nil {
		return "", errors.New("ca: fingerprint is not hexadecimal")
	}
	if len(b) != sha256.Size {
		return "", errors.New("ca: fingerprint must have 32 bytes (SHA-256)")
	}
	return digits, nil
}
