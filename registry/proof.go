package registry

import (
	"context"
	"time"
)

// Proof is what a login rests on. Kept with a session, it tells later whether
// the session could be opened again.
type Proof struct {
	Username    string
	PasswordSet time.Time // of the password that was right; zero: none was used
	Certificate string    // fingerprint; empty: none was used
	CommonName  string    // of the certificate
	Trusted     bool      // the certificate would do by its name
	Anchor      string    // fingerprint of the CA that makes it so
	Token       TokenID   // empty: none was used
	Expires     time.Time // when it ends by itself; zero: never

	anchors TrustedAnchors // nil: not asked
}

// TrustedAnchors tells whether a CA, by its fingerprint, is trusted still.
type TrustedAnchors interface{ Trusts(sha256 string) bool }

// TokenAlive reports whether a token is still registered.
type TokenAlive func(ctx context.Context, id TokenID) (bool, error)

// Holds reports whether the user, as it is now, could sign in with this proof
// at the time now. Whether a token is still registered is not asked here.
func (pf *Proof) Holds(p *Principal, now time.Time) bool {
	if p == nil || p.User.Username != pf.Username || pf.Expired(now) {
		return false
	}
	if pf.Certificate != "" && !pf.certificateHolds(p.User, now) {
		return false
	}
	if !pf.PasswordSet.IsZero() && !pf.PasswordSet.Equal(p.User.PasswordSet) {
		return false
	}
	return pf.sufficient(p)
}

// certificateHolds reports whether the certificate is still that of the user: it
// is registered or, while none is, does by its name.
func (pf *Proof) certificateHolds(u *User, now time.Time) bool {
	if len(u.Fingerprints) > 0 {
		return u.FingerprintValid(pf.Certificate, now)
	}
	return pf.Trusted && pf.CommonName == pf.Username && (pf.anchors == nil || pf.anchors.Trusts(pf.Anchor))
}

// Ends returns when the proof ends by itself if the user stays as it is now,
// zero if it does not. It may be sooner than Expires, which is what was known at
// the sign-in: the registration of a certificate that was renewed ends early.
func (pf *Proof) Ends(p *Principal) time.Time {
	if p == nil || pf.Certificate == "" {
		return pf.Expires
	}
	return Earliest(pf.Expires, p.User.fingerprintExpiry(pf.Certificate))
}

// Expired reports whether the proof has ended by itself.
func (pf *Proof) Expired(now time.Time) bool {
	return !pf.Expires.IsZero() && !now.Before(pf.Expires)
}

// sufficient reports whether what was proven lets the user in: all required
// methods, and at least one granted.
func (pf *Proof) sufficient(p *Principal) bool {
	u := p.User
	if !u.Active {
		return false
	}
	one := false
	for _, g := range u.GrantTypes {
		proven := pf.proves(g.Method)
		if g.Required && !proven {
			return false
		}
		one = one || proven
	}
	return one
}

func (pf *Proof) proves(m Method) bool {
	switch m {
	case MethodPassword:
		return !pf.PasswordSet.IsZero()
	case MethodCertificate:
		return pf.Certificate != ""
	case MethodToken:
		return pf.Token != ""
	default:
		return false
	}
}

func (pf *Proof) expire(t time.Time) {
	if !t.IsZero() && (pf.Expires.IsZero() || t.Before(pf.Expires)) {
		pf.Expires = t
	}
}

// Earliest returns the first of the times that is not zero and before the others.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
