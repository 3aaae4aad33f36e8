package enrol

import (
	"crypto/rand"
	"strings"
	"unicode"
	"unicode/utf8"

	"mqttwarden/registry"
)

// Limits on requests.
const (
	MaxContext     = 1024 // bytes of what a client says about itself
	MaxRoles       = 32   // wished role names
	MaxPermissions = 64   // wished permissions
	maxResources   = 8192 // bytes of all their resources together
	maxClientID    = 256  // bytes that are kept
)

// check reports the first field that breaks its rule, as Invalid or WeakPassword. It
// does not read the store.
func (s *Service) check(req *Request) error {
	if err := registry.ValidateNewUsername(req.Username); err != nil {
		return err
	}
	switch {
	case req.Password == "" && req.CSR == "":
		return registry.Errorf(registry.Invalid, registry.FieldPassword, "or csr must be given")
	case req.Password != "" && req.CSR != "":
		return registry.Errorf(registry.Invalid, registry.FieldPassword, "and csr must not be given together")
	case req.Password != "":
		if err := s.cfg.Passwords.Policy.Check(registry.FieldPassword, req.Password); err != nil {
			return err
		}
	default:
		if err := s.cfg.Certificates.Check(req.CSR, req.Username); err != nil {
			return err
		}
	}
	if err := checkText(FieldContext, req.Context, MaxContext); err != nil {
		return err
	}
	return checkWishes(req)
}

func checkWishes(req *Request) error {
	if n := len(req.Roles); n > MaxRoles {
		return registry.Errorf(registry.Invalid, registry.FieldRoles, "are %d: must be at most %d", n, MaxRoles)
	}
	for _, name := range req.Roles {
		if err := registry.ValidateName(registry.FieldRoles, name); err != nil {
			return err
		}
	}
	if n := len(req.Permissions); n > MaxPermissions {
		return registry.Errorf(registry.Invalid, registry.FieldPermissions, "are %d: must be at most %d", n, MaxPermissions)
	}
	size := 0
	for _, wish := range req.Permissions {
		size += len(wish.Resource)
	}
	if size > maxResources {
		return registry.Errorf(registry.Invalid, registry.FieldPermissions, "name resources of %d bytes: must be at most %d", size, maxResources)
	}
	return registry.ValidateWishes(req.Permissions)
}

// checkText accepts text for people to read: line breaks and tabs are the only
// control characters in it.
func checkText(field registry.Field, text string, limit int) error {
	bad := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }
	switch {
	case len(text) > limit:
		return registry.Errorf(registry.Invalid, field, "has %d bytes: must have at most %d", len(text), limit)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, bad):
		return registry.Errorf(registry.Invalid, field, "must be valid UTF-8 without control characters")
	}
	return nil
}

// newPairingCode returns six random characters, none of which looks like another.
func newPairingCode() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32, so a byte chooses evenly
	code := make([]byte, 6)
	_, _ = rand.Read(code) // never fails
	for i, b := range code {
		code[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(code)
}
