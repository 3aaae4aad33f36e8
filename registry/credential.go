package registry

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Method is a way to sign in.
type Method string

// The methods of the contract; MethodSCRAM is ours.
const (
	MethodPassword    Method = "password"
	MethodCertificate Method = "certificate"
	MethodToken       Method = "token" // a token as the MQTT password
	MethodSCRAM       Method = "scram"
)

// GrantType lets a user sign in with a method. Required ones must all be
// proven; when none is required, any one will do.
type GrantType struct {
	Method   Method
	Required bool
}

// Granted reports whether the user may sign in with m, and must.
func (u *User) Granted(m Method) (granted, required bool) {
	i := slices.IndexFunc(u.GrantTypes, func(g GrantType) bool { return g.Method == m })
	if i < 0 {
		return false, false
	}
	return true, u.GrantTypes[i].Required
}

func validateGrantTypes(gs []GrantType) error {
	seen := make(map[Method]bool, len(gs))
	for _, g := range gs {
		switch g.Method {
		case MethodPassword, MethodCertificate, MethodToken, MethodSCRAM:
		default:
			return Errorf(Invalid, FieldGrantTypes, "method must be one of password, certificate, token, scram")
		}
		if seen[g.Method] {
			return Errorf(Invalid, FieldGrantTypes, "method %s stands twice", g.Method)
		}
		seen[g.Method] = true
	}
	return nil
}

// Fingerprint is a client certificate that a user registered: the SHA-256 of
// its DER form in lower-case hexadecimal. Once a user has had one, only registered
// certificates sign it in; see User.Pinned.
type Fingerprint struct {
	SHA256  string
	Created time.Time
	Expires time.Time // zero: does not expire by itself
}

// printed is a fingerprint as programs print it, with or without the name of the hash:
//
//	SHA256 Fingerprint=98:A3:…      openssl x509 -fingerprint
//	sha256:98a3…                    certtool
//	Cert Hash(sha256): 98 a3 …      certutil
var printed = regexp.MustCompile(`(?i)^\s*(?:[a-z ]*\(?(?:sha-?\d+|md5)\)?[^=:]*[=:])?\s*([0-9a-f][0-9a-f:\s]*)$`)

// ParseFingerprint returns s in the form in which fingerprints are stored. It takes
// what programs print: upper case, colons or blanks between the bytes, and the name of
// the hash in front. Of another hash than SHA-256 it says so, as Invalid.
func ParseFingerprint(s string) (string, error) {
	const longest, wanted = 256, "a SHA-256 in hexadecimal: 64 digits, as openssl x509 -fingerprint -sha256 prints it"
	found := printed.FindStringSubmatch(s)
	if len(s) > longest || found == nil {
		return "", Errorf(Invalid, FieldFingerprint, "must be "+wanted)
	}
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "", "\t", "", "\r", "", "\n", "").Replace(found[1]))
	if other, known := map[int]string{32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}[len(digits)]; known {
		return "", Errorf(Invalid, FieldFingerprint, "that is %s; give SHA-256", other)
	}
	if b, err := hex.DecodeString(digits); err != nil || len(b) != 32 {
		return "", Errorf(Invalid, FieldFingerprint, "must be "+wanted)
	}
	return digits, nil
}

// FingerprintValid reports whether fp is registered for the user
// and has not expired at now.
func (u *User) FingerprintValid(fp string, now time.Time) bool {
	i := slices.IndexFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp })
	return i >= 0 && (u.Fingerprints[i].Expires.IsZero() || now.Before(u.Fingerprints[i].Expires))
}

// fingerprintExpiry returns when the registered fingerprint fp expires, zero
// when it is not registered or does not.
func (u *User) fingerprintExpiry(fp string) time.Time {
	i := slices.IndexFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp })
	if i < 0 {
		return time.Time{}
	}
	return u.Fingerprints[i].Expires
}

// pinned reports whether only registered certificates sign the user in.
func (u *User) pinned() bool { return u.Pinned || len(u.Fingerprints) > 0 }

func (u *User) hasFingerprint(fp string) bool {
	return slices.ContainsFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp })
}

// DropFingerprint takes a registered fingerprint from u, if it is there.
func (u *User) DropFingerprint(fp string) {
	u.Fingerprints = slices.DeleteFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp })
}
