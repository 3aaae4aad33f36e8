package registry

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

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
func (p PasswordPolicy) Check(field, password string) error {
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
