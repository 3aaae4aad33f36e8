package registry

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"mqttwarden/registry/bearer"
	"mqttwarden/registry/secret"
)

// MaxPassword bounds the passwords that are looked at, in bytes.
const MaxPassword = 1024

// Attempt is what somebody brings to sign in: a name and a password, a client
// certificate, or both.
type Attempt struct {
	Username    string // may be empty when a certificate says who it is
	Password    string
	HasPassword bool
	Certificate *Certificate // nil: none was shown
	// TokenAsPassword lets a token stand in the place of the password, for
	// users with that grant type.
	TokenAsPassword bool
	ClientID        string     // of an MQTT CONNECT; empty through the other doors
	Remote          netip.Addr // where it comes from; may be invalid
}

// Certificate is a client certificate whose private key the peer has proven to
// hold in the TLS handshake; see Anchors.Certificate.
type Certificate struct {
	SHA256     string // fingerprint, as ParseFingerprint returns it
	CommonName string // the name that it carries, by whatever Mapping
	Trusted    bool   // chains to a CA that is trusted for clients, and is not of our own
	Anchor     string // fingerprint of that CA
	NotBefore  time.Time
	NotAfter   time.Time
}

// Login is somebody who signed in, and how.
type Login struct {
	Subject *Subject
	Proof   Proof
}

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

	anchors trustedAnchors // nil: not asked
}

// trustedAnchors tells whether a CA, by its fingerprint, is trusted still.
type trustedAnchors interface{ Trusts(sha256 string) bool }

// TokenAlive reports whether a token is still registered.
type TokenAlive func(ctx context.Context, id TokenID) (bool, error)

// passwordChecker is what SignIn needs of secret.Verifier.
type passwordChecker interface {
	Check(ctx context.Context, name, encoded, password string) (bool, error)
	CheckNobody(ctx context.Context, name, password string) error
}

// SignIn is the one way from a credential to a principal, whatever the door.
type SignIn struct {
	principals *Principals
	passwords  passwordChecker
	tokens     TokenReader
	signer     *bearer.Signer
	now        func() time.Time

	anchors   trustedAnchors
	strangers func(ctx context.Context, a Attempt)
	used      func(sha256 string)
}

// NewSignIn returns the one sign-in of the program.
func NewSignIn(p *Principals, passwords passwordChecker, tokens TokenReader, signer *bearer.Signer, now func() time.Time) *SignIn {
	return &SignIn{
		principals: p, passwords: passwords, tokens: tokens, signer: signer, now: now,
		strangers: func(context.Context, Attempt) {}, used: func(string) {},
	}
}

// TrustAnchors has certificates that sign in by their name, and the proofs that
// rest on them, judged by what anchors trusts at that time. Without it the word
// of the TLS layer stands. It must be called before the first sign-in.
func (s *SignIn) TrustAnchors(anchors trustedAnchors) { s.anchors = anchors }

// Strangers has meet called with each attempt to sign in with a password under a
// name that nobody has, after it was refused. It must be called before the first
// sign-in.
func (s *SignIn) Strangers(meet func(ctx context.Context, a Attempt)) { s.strangers = meet }

// CertificateUsed has note called with the fingerprint of each registered
// certificate that signs in. It must be called before the first sign-in, and
// note must not wait.
func (s *SignIn) CertificateUsed(note func(sha256 string)) { s.used = note }

// In signs somebody in. It returns Unauthenticated when a name, password or
// token is wrong, which of them is not told, Forbidden when the credential is
// right and the user may not sign in with it or at all, Busy when too much
// password work waits, and Unavailable when the store can't be asked.
func (s *SignIn) In(ctx context.Context, a Attempt) (Login, error) {
	subject, err := s.identify(ctx, a)
	if err != nil && !errors.Is(err, NotFound) {
		return Login{}, err
	}
	if subject == nil {
		err := s.refuseNobody(ctx, a)
		if a.HasPassword && errors.Is(err, Unauthenticated) {
			s.strangers(ctx, a)
		}
		return Login{}, err
	}
	p := subject.Principal()
	if p == nil { // deleted since it was found
		return Login{}, s.refuseNobody(ctx, a)
	}
	proof, err := s.prove(ctx, p, a)
	if err != nil {
		return Login{}, err
	}
	if !proof.sufficient(p) {
		return Login{}, Errorf(Forbidden, "", "not allowed to sign in this way")
	}
	if proof.Certificate != "" && len(p.User.Fingerprints) > 0 {
		s.used(proof.Certificate)
	}
	return Login{Subject: subject, Proof: proof}, nil
}

// Token signs in the bearer of a token.
func (s *SignIn) Token(ctx context.Context, token string) (Login, error) {
	refused := Errorf(Unauthenticated, "", "the token is not valid")
	claims, err := s.signer.Verify(token, s.now())
	if err != nil {
		return Login{}, refused
	}
	t, err := s.tokens.Token(ctx, TokenID(claims.ID))
	switch {
	case errors.Is(err, NotFound):
		return Login{}, refused
	case err != nil:
		return Login{}, unavailable(err)
	case t.User != UserID(claims.Subject), t.Fingerprint != bearer.Fingerprint(token), !s.now().Before(t.Expires):
		return Login{}, refused
	}
	subject, err := s.principals.ByID(ctx, t.User)
	switch {
	case errors.Is(err, NotFound):
		return Login{}, refused
	case err != nil:
		return Login{}, err
	}
	p := subject.Principal()
	if p == nil || !p.User.Active {
		return Login{}, refused
	}
	return Login{Subject: subject, Proof: Proof{Username: p.User.Username, Token: t.ID, Expires: t.Expires}}, nil
}

// Recall returns a login from before a restart, of which the proof was written
// down. Whether it still holds is for the caller to ask (Proof.Holds). It returns
// NotFound when there is no such user any more, and Unavailable when the store
// can't be asked.
func (s *SignIn) Recall(ctx context.Context, id UserID, proof Proof) (Login, error) {
	subject, err := s.principals.ByID(ctx, id)
	if err != nil {
		return Login{}, err
	}
	if subject.Principal() == nil {
		return Login{}, Errorf(NotFound, "", "no such user")
	}
	proof.anchors = s.anchors
	return Login{Subject: subject, Proof: proof}, nil
}

// identify finds whom the attempt is about: a registered certificate names its
// user, a trusted one its common name, else the name is taken at its word.
func (s *SignIn) identify(ctx context.Context, a Attempt) (*Subject, error) {
	if c := a.Certificate; c != nil {
		subject, err := s.principals.ByFingerprint(ctx, c.SHA256)
		if err == nil && subject.Principal() != nil {
			if name := subject.Principal().User.Username; a.Username == "" || a.Username == name {
				return subject, nil
			}
			return nil, Errorf(Forbidden, "", "the certificate is another user's")
		}
		if err != nil && !errors.Is(err, NotFound) {
			return nil, err
		}
		if s.trusted(c) && a.Username == "" {
			if ValidateUsername(c.CommonName) != nil {
				return nil, Errorf(NotFound, "", "no such user")
			}
			return s.principals.ByName(ctx, c.CommonName)
		}
	}
	if ValidateUsername(a.Username) != nil {
		return nil, Errorf(NotFound, "", "no such user") // not worth a question to the store
	}
	return s.principals.ByName(ctx, a.Username)
}

// refuseNobody refuses an attempt about a user that does not exist, after the
// work that a wrong password costs.
func (s *SignIn) refuseNobody(ctx context.Context, a Attempt) error {
	if a.HasPassword {
		if err := s.passwords.CheckNobody(ctx, a.Username, clip(a.Password)); err != nil {
			return busy(err)
		}
		return errWrong()
	}
	if a.Certificate != nil {
		return Errorf(Forbidden, "", "the certificate is no user's")
	}
	return errWrong()
}

// prove checks every credential brought that the user may use. One that is
// wrong refuses the attempt, whatever else is right.
func (s *SignIn) prove(ctx context.Context, p *Principal, a Attempt) (Proof, error) {
	u := &p.User
	proof := Proof{Username: u.Username}
	if c := a.Certificate; c != nil {
		if s.certificateNames(u, c) {
			proof.Certificate, proof.CommonName = c.SHA256, c.CommonName
			proof.Trusted, proof.Anchor, proof.anchors = c.Trusted, c.Anchor, s.anchors
			proof.expire(c.NotAfter)
			proof.expire(u.fingerprintExpiry(c.SHA256))
		} else if !a.HasPassword {
			return Proof{}, Errorf(Forbidden, "", "the certificate is not this user's")
		}
	}
	if !a.HasPassword {
		if proof.Certificate == "" {
			return Proof{}, errWrong()
		}
		return proof, nil
	}
	if granted, _ := u.Granted(MethodToken); granted && a.TokenAsPassword && looksLikeToken(a.Password) {
		login, err := s.Token(ctx, a.Password)
		if err != nil {
			return Proof{}, err
		}
		if login.Subject.ID() != u.ID {
			return Proof{}, errWrong()
		}
		proof.Token = login.Proof.Token
		proof.expire(login.Proof.Expires)
		return proof, nil
	}
	granted, _ := u.Granted(MethodPassword)
	if !granted && proof.Certificate != "" {
		return proof, nil // it signs in with the certificate; what it sends besides is not looked at
	}
	if u.Provider != ProviderLocal || u.PasswordHash == "" || len(a.Password) > MaxPassword {
		if err := s.passwords.CheckNobody(ctx, u.Username, clip(a.Password)); err != nil {
			return Proof{}, busy(err)
		}
		return Proof{}, errWrong()
	}
	ok, err := s.passwords.Check(ctx, u.Username, u.PasswordHash, a.Password)
	switch {
	case err != nil:
		return Proof{}, busy(err)
	case !ok:
		return Proof{}, errWrong()
	}
	proof.PasswordSet = u.PasswordSet
	return proof, nil
}

// certificateNames reports whether the certificate is that of the user: it is
// registered for it or, while none is, trusted and with its name.
func (s *SignIn) certificateNames(u *User, c *Certificate) bool {
	now := s.now()
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return false
	}
	if len(u.Fingerprints) > 0 {
		return u.fingerprintValid(c.SHA256, now)
	}
	return s.trusted(c) && c.CommonName == u.Username
}

// trusted reports whether the name in the certificate may be believed.
func (s *SignIn) trusted(c *Certificate) bool {
	return c.Trusted && (s.anchors == nil || s.anchors.Trusts(c.Anchor))
}

// Holds reports whether the user, as it is now, could sign in with this proof
// at the time now. Whether a token is still registered is not asked here.
func (pf *Proof) Holds(p *Principal, now time.Time) bool {
	if p == nil || p.User.Username != pf.Username || pf.Expired(now) {
		return false
	}
	if pf.Certificate != "" && !pf.certificateHolds(&p.User, now) {
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
		return u.fingerprintValid(pf.Certificate, now)
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
	return earliest(pf.Expires, p.User.fingerprintExpiry(pf.Certificate))
}

// Expired reports whether the proof has ended by itself.
func (pf *Proof) Expired(now time.Time) bool {
	return !pf.Expires.IsZero() && !now.Before(pf.Expires)
}

// sufficient reports whether what was proven lets the user in: all required
// methods, and at least one granted.
func (pf *Proof) sufficient(p *Principal) bool {
	u := &p.User
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

// looksLikeToken reports whether a password is a compact JWS: three parts, the
// first of which begins a JSON object.
func looksLikeToken(s string) bool {
	return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2
}

// clip bounds what is hashed for a password that is too long to be anybody's.
func clip(password string) string {
	return password[:min(len(password), MaxPassword)]
}

func errWrong() error { return Errorf(Unauthenticated, "", "wrong user name or password") }

// busy gives the failures of password work their codes.
func busy(err error) error {
	if errors.Is(err, secret.ErrBusy) {
		return &Error{Code: Busy, Detail: "too many logins at once: try again in a moment", Err: err}
	}
	return err
}
