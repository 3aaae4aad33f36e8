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
	Token       TokenID   // empty: none was used
	Expires     time.Time // when it ends by itself, beside the certificate; zero: never

	Certificate     string      // fingerprint; empty: none was used
	CertificateEnds time.Time   // the certificate itself
	CommonName      string      // of the certificate
	Own             bool        // our own authority issued it
	Trusted         bool        // a CA was trusted for it
	Paths           []TrustPath // that lead to such CAs

	anchors TrustedAnchors // nil: not asked
}

// TokenAlive reports whether a token is still registered.
type TokenAlive func(ctx context.Context, id TokenID) (bool, error)

// Holds reports whether the user, as it is now, could sign in with this proof
// at the time now. Whether a token is still registered is not asked here.
func (pf *Proof) Holds(p *Principal, now time.Time) bool {
	return pf.Rests(p, now) && !pf.Ended(p, now)
}

// Rests is Holds for a proof that may have ended by itself: nothing was taken from
// the user that it rests on.
func (pf *Proof) Rests(p *Principal, now time.Time) bool {
	if p == nil || p.User.Username != pf.Username {
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
// is registered or, if the user is not pinned, does by its name.
func (pf *Proof) certificateHolds(u *User, now time.Time) bool {
	if u.pinned() {
		return u.FingerprintValid(pf.Certificate, now)
	}
	return pf.CommonName == pf.Username && pf.trusted()
}

// trusted reports whether a CA is trusted now for the certificate, in its time or not.
func (pf *Proof) trusted() bool {
	return pf.Trusted && (pf.anchors == nil || !trustedUntil(pf.Paths, pf.anchors).IsZero())
}

// CertificateName returns the name in the certificate if somebody vouches for it: our
// own authority or a CA that is trusted now. Else it is empty, for anybody can write
// any name in a certificate.
func (pf *Proof) CertificateName() string {
	if pf.Own || pf.trusted() {
		return pf.CommonName
	}
	return ""
}

// Ends returns when the proof ends by itself if the user and what is trusted stay as
// they are now, zero if it does not. A registered certificate ends with its
// registration, which may be sooner than was known at the sign-in: one that was
// renewed ends early. One that does by its name ends with the last of its paths.
func (pf *Proof) Ends(p *Principal) time.Time {
	switch {
	case p == nil || pf.Certificate == "":
		return pf.Expires
	case p.User.pinned() || pf.anchors == nil:
		return Earliest(pf.Expires, pf.CertificateEnds, p.User.fingerprintExpiry(pf.Certificate))
	default:
		return Earliest(pf.Expires, trustedUntil(pf.Paths, pf.anchors))
	}
}

// Ended reports whether the proof has ended by itself; see Ends.
func (pf *Proof) Ended(p *Principal, now time.Time) bool {
	ends := pf.Ends(p)
	return !ends.IsZero() && !now.Before(ends)
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
