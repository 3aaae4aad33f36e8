package registry

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"mqttwarden/registry/ca"
)

// checkRegistration reports the first field that breaks its rule, as Invalid or
// WeakPassword. It asks nobody.
func (s *Service) checkRegistration(req *RegistrationRequest) error {
	if err := ValidateUsername(req.Username); err != nil {
		return err
	}
	if err := refuseSystemName(req.Username); err != nil {
		return err
	}
	switch {
	case req.Password == "" && req.CSR == "":
		return Errorf(Invalid, "password", "or csr must be given")
	case req.Password != "" && req.CSR != "":
		return Errorf(Invalid, "password", "and csr must not be given together")
	case req.Password != "":
		if err := s.cfg.Policy.Check("password", req.Password); err != nil {
			return err
		}
	default:
		if _, err := s.parseCSR(req.CSR, req.Username); err != nil {
			return err
		}
	}
	if err := checkText("context", req.Context, MaxRegistrationContext); err != nil {
		return err
	}
	return checkWishes(req)
}

func checkWishes(req *RegistrationRequest) error {
	if n := len(req.Roles); n > MaxRegistrationRoles {
		return Errorf(Invalid, "roles", "are %d: must be at most %d", n, MaxRegistrationRoles)
	}
	for _, name := range req.Roles {
		if err := validateName("roles", name); err != nil {
			return err
		}
	}
	if n := len(req.Permissions); n > MaxRegistrationPermissions {
		return Errorf(Invalid, "initialPermissions", "are %d: must be at most %d", n, MaxRegistrationPermissions)
	}
	size := 0
	for _, wish := range req.Permissions {
		p := Permission{Resource: wish.Resource, Operation: wish.Operation, Context: wish.Context, Effect: wish.Effect}
		if err := p.Validate(); err != nil {
			return err
		}
		size += len(wish.Resource)
	}
	if size > maxRegistrationResources {
		return Errorf(Invalid, "initialPermissions", "name resources of %d bytes: must be at most %d", size, maxRegistrationResources)
	}
	return nil
}

// checkText takes text for people: line breaks and tabs are the only control
// characters in it.
func checkText(field, text string, limit int) error {
	bad := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }
	switch {
	case len(text) > limit:
		return Errorf(Invalid, field, "has %d bytes: must have at most %d", len(text), limit)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, bad):
		return Errorf(Invalid, field, "must be valid UTF-8 without control characters")
	}
	return nil
}

// parseCSR reads a certificate request for a user, or returns Invalid.
func (s *Service) parseCSR(csr, username string) (*ca.Request, error) {
	if s.cfg.Certificates.Issuer == nil {
		return nil, Errorf(Invalid, "csr", "must not be given: no certificates are issued here")
	}
	req, err := ca.ParseRequest(csr, username, s.cfg.Certificates.Names)
	if refused, ok := errors.AsType[*ca.RequestError](err); ok {
		return nil, Errorf(Invalid, "csr", "%s: %s", refused.Field, refused.Detail)
	}
	return req, err
}

// newPairingCode returns six random characters that nobody takes for others.
func newPairingCode() (string, error) {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32, so a byte chooses evenly
	code := make([]byte, 6)
	if _, err := rand.Read(code); err != nil {
		return "", fmt.Errorf("registry: make a pairing code: %w", err)
	}
	for i, b := range code {
		code[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(code), nil
}
