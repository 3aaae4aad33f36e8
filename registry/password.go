package registry

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mqttwarden/registry/secret"
)

// MaxPassword bounds the passwords that are looked at, in bytes.
const MaxPassword = 1024

// PasswordHash is a password as it is stored; the zero one is none.
type PasswordHash struct {
	Encoded string
	Set     time.Time // when the password was chosen
}

// Hasher makes stored hashes of passwords; *secret.Pool does.
type Hasher interface {
	Hash(ctx context.Context, password string) (encoded string, err error)
}

// Verifier compares passwords with stored hashes; *secret.Verifier does. Both
// methods take the time of one comparison.
type Verifier interface {
	Check(ctx context.Context, name, encoded, password string) (bool, error)
	CheckNobody(ctx context.Context, name, password string) error
}

// Passwords is what is done with passwords, wherever they come from.
type Passwords struct {
	Policy   PasswordPolicy
	Hasher   Hasher
	Verifier Verifier
	Now      func() time.Time
}

// Hash returns a new password as it is stored. field names it in errors: Invalid,
// WeakPassword, and Busy when too much password work waits.
func (p *Passwords) Hash(ctx context.Context, field Field, password string) (PasswordHash, error) {
	if err := p.Policy.Check(field, password); err != nil {
		return PasswordHash{}, err
	}
	encoded, err := p.Hasher.Hash(ctx, password)
	return PasswordHash{encoded, Stamp(p.Now())}, busy(err)
}

// Verify reports whether password is that of the user called name, whose stored
// hash is encoded; a password that is too long to be anybody's is not. It returns
// Busy when too much password work waits.
func (p *Passwords) Verify(ctx context.Context, name, encoded, password string) (bool, error) {
	ok, err := p.Verifier.Check(ctx, name, encoded, clip(password))
	return ok && len(password) <= MaxPassword, busy(err)
}

// VerifyNobody does the work of Verify for a name that has no password.
func (p *Passwords) VerifyNobody(ctx context.Context, name, password string) error {
	return busy(p.Verifier.CheckNobody(ctx, name, clip(password)))
}

// clip bounds what is hashed for a password that is too long to be anybody's.
func clip(password string) string { return password[:min(len(password), MaxPassword)] }

// busy gives the failures of password work their codes.
func busy(err error) error {
	if errors.Is(err, secret.ErrBusy) {
		return &Error{Code: Busy, Detail: "too many logins at once: try again in a moment", Err: err}
	}
	return err
}

// usePassword gives u a password, and the grant type if nobody chose any yet.
func (u *User) usePassword(p PasswordHash) {
	u.PasswordHash, u.PasswordSet = p.Encoded, p.Set
	if u.GrantTypes == nil {
		u.GrantTypes = impliedGrants(true, false)
	}
}

// errNotLocal refuses a password for a user whose password is not kept here.
func errNotLocal(field Field, p IdentityProvider) error {
	return Errorf(Invalid, field, "must not be set for users of %s", p)
}

// PasswordPolicy says what a new password needs. A zero rule is no rule.
// Characters count by their Unicode category.
type PasswordPolicy struct {
	Min     int // characters
	Lower   int
	Upper   int
	Numeric int
	Symbol  int // neither letter nor digit
}

// DefaultPasswordPolicy is the contract's: five characters of any kind.
func DefaultPasswordPolicy() PasswordPolicy { return PasswordPolicy{Min: 5} }

// Check returns WeakPassword, naming the rule and never the password, or
// Invalid when it is too long or no text.
func (p PasswordPolicy) Check(field Field, password string) error {
	if len(password) > MaxPassword {
		return Errorf(Invalid, field, "must have at most %d bytes", MaxPassword)
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return Errorf(Invalid, field, "must be valid UTF-8 without NUL")
	}
	var n, lower, upper, numeric, symbol int
	for _, r := range password {
		n++
		switch {
		case unicode.IsLower(r):
			lower++
		case unicode.IsUpper(r):
			upper++
		case unicode.IsDigit(r):
			numeric++
		case !unicode.IsLetter(r):
			symbol++
		}
	}
	for _, rule := range []struct {
		has, needs int
		what       string
	}{
		{n, p.Min, "characters"},
		{lower, p.Lower, "lower-case letters"},
		{upper, p.Upper, "upper-case letters"},
		{numeric, p.Numeric, "digits"},
		{symbol, p.Symbol, "symbols"},
	} {
		if rule.has < rule.needs {
			return Errorf(WeakPassword, field, "must have at least %d %s", rule.needs, rule.what)
		}
	}
	return nil
}
