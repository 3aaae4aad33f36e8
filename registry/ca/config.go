package ca

import (
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// DefaultClientLife is how long a device's certificate lives unless the
	// caller of [Authority.Issue] says otherwise.
	DefaultClientLife = 365 * 24 * time.Hour
	// MaxServerLife is the longest life of a listener's certificate. The shorter
	// limits that browsers have since 2026 are for public CAs.
	MaxServerLife = 397 * 24 * time.Hour

	defaultName     = "mqttwarden"
	defaultCRLLife  = 7 * 24 * time.Hour
	defaultOCSPLife = time.Hour
	maxName         = 40 // characters; with what is added the common name stays within 64
)

// Config says how an authority names itself and what it writes into what it
// signs. The zero value is usable.
type Config struct {
	Name       string        // of the organization, in the names of new CAs; "mqttwarden" if empty
	CRLURL     string        // where the CRL is served, http or https; left out of certificates if empty
	OCSPURL    string        // where the OCSP responder is, http or https; left out if empty
	ServerLife time.Duration // of a listener's certificate, at most and by default [MaxServerLife]
	CRLLife    time.Duration // until a CRL's NextUpdate; a week if zero
	OCSPLife   time.Duration // until an OCSP response's NextUpdate; an hour if zero
}

// complete fills in defaults. It returns every problem at once.
func (c Config) complete() (Config, error) {
	var errs []error
	bad := func(field string, got any, want string) {
		errs = append(errs, fmt.Errorf("ca: %s: %v: must be %s", field, got, want))
	}
	if c.Name == "" {
		c.Name = defaultName
	}
	if !printable(c.Name) || utf8.RuneCountInString(c.Name) > maxName {
		bad("Name", fmt.Sprintf("%q", c.Name), fmt.Sprintf("printable text of at most %d characters", maxName))
	}
	for _, u := range []struct{ field, value string }{{"CRLURL", c.CRLURL}, {"OCSPURL", c.OCSPURL}} {
		if u.value != "" && !validURL(u.value) {
			// Not repeated: it may hold a password.
			errs = append(errs, fmt.Errorf("ca: %s: must be an absolute http or https URL without credentials", u.field))
		}
	}
	for _, d := range []struct {
		field    string
		value    *time.Duration
		def, max time.Duration
	}{
		{"ServerLife", &c.ServerLife, MaxServerLife, MaxServerLife},
		{"CRLLife", &c.CRLLife, defaultCRLLife, 365 * 24 * time.Hour},
		{"OCSPLife", &c.OCSPLife, defaultOCSPLife, 30 * 24 * time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < time.Minute || *d.value > d.max {
			bad(d.field, *d.value, fmt.Sprintf("1m to %v", d.max))
		}
	}
	return c, errors.Join(errs...)
}

// validURL reports whether s is a URL that may stand in a certificate, where it is an
// IA5String: ASCII.
func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && isASCII(s)
}

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
