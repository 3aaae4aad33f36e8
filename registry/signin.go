package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mqttwarden/registry/bearer"
	"mqttwarden/registry/peer"
	"mqttwarden/registry/secret"
)

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
	Own        bool   // our own authority issued it
	Trusted    bool   // chains to a CA that is trusted for clients, and is not of our own
	Paths      []TrustPath
	NotBefore  time.Time
	NotAfter   time.Time // of the certificate or, if it is trusted, of the last of its paths
	Distrust   string    // why it does not sign in by its name; empty: it may
}

// refusal returns what to say of a certificate that signs nobody in: text, and why
// its name does not count.
func (c *Certificate) refusal(text string) error {
	switch {
	case c.Distrust != "":
		text += ": " + c.Distrust
	case c.Trusted:
		text += fmt.Sprintf(": it carries the name %q", c.CommonName)
	}
	return Errorf(Forbidden, "", "%s", text)
}

// Login is somebody who signed in, and how.
type Login struct {
	Subject *Subject
	Proof   Proof
}

// SignInConfig holds what sign-ins rest on.
type SignInConfig struct {
	Principals *Principals
	Passwords  *Passwords
	Tokens     TokenReader
	Signer     *bearer.Signer
	Now        func() time.Time
	// Anchors judges, at that time, the certificates that sign in by their name,
	// and the proofs that rest on them. Nil: the word of the TLS layer stands.
	Anchors TrustedAnchors
	// UnknownUser is told of each attempt to sign in with a password under a name
	// that no user has, after it was refused. May be nil.
	UnknownUser func(ctx context.Context, a Attempt)
	// CertificateRemoved tells of a certificate, by its fingerprint, whether it was
	// taken from a user: then it signs nobody in by its name. Nil: none was.
	CertificateRemoved func(ctx context.Context, sha256 string) (bool, error)
	// CertificateUsed is told the fingerprint of each registered certificate that
	// signs in. It must not wait. May be nil.
	CertificateUsed func(sha256 string)
}

// SignIn is the one way from a credential to a principal, whatever the door.
type SignIn struct{ cfg SignInConfig }

// NewSignIn returns the one sign-in of the program.
func NewSignIn(cfg SignInConfig) *SignIn {
	if cfg.UnknownUser == nil {
		cfg.UnknownUser = func(context.Context, Attempt) {}
	}
	if cfg.CertificateUsed == nil {
		cfg.CertificateUsed = func(string) {}
	}
	if cfg.CertificateRemoved == nil {
		cfg.CertificateRemoved = func(context.Context, string) (bool, error) { return false, nil }
	}
	return &SignIn{cfg}
}

// In signs somebody in. It returns Unauthenticated when a name, password or
// token is wrong, which of them is not told, Forbidden when the credential is
// right and the user may not sign in with it or at all, Busy when too much
// password work waits, and Unavailable when the store can't be asked.
func (s *SignIn) In(ctx context.Context, a Attempt) (Login, error) {
	subject, err := s.identify(ctx, a)
	if err != nil && !errors.Is(err, NotFound) {
		return Login{}, err
	}
	ctx = a.asking(ctx, subject != nil)
	if subject == nil {
		err := s.refuseNobody(ctx, a)
		if a.HasPassword && errors.Is(err, Unauthenticated) {
			s.cfg.UnknownUser(ctx, a)
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
	if proof.Certificate != "" && p.User.pinned() {
		s.cfg.CertificateUsed(proof.Certificate)
	}
	return Login{Subject: subject, Proof: proof}, nil
}

// asking returns ctx for the password work of the attempt, unless the door has said
// already on whose behalf it is.
func (a *Attempt) asking(ctx context.Context, known bool) context.Context {
	if _, said := secret.AskerOf(ctx); said || !a.HasPassword {
		return ctx
	}
	asker := secret.Asker{Kind: secret.UnknownName, Network: peer.Network(a.Remote)}
	if known {
		asker.Kind = secret.KnownName
	}
	return secret.For(ctx, asker)
}

// Token signs in the bearer of a token.
func (s *SignIn) Token(ctx context.Context, token string) (Login, error) {
	refused := Errorf(Unauthenticated, "", "the token is not valid")
	claims, err := s.cfg.Signer.Verify(token, s.cfg.Now())
	if err != nil {
		return Login{}, refused
	}
	t, err := s.cfg.Tokens.Token(ctx, TokenID(claims.ID))
	switch {
	case errors.Is(err, NotFound):
		return Login{}, refused
	case err != nil:
		return Login{}, err
	case t.User != UserID(claims.Subject), t.Fingerprint != bearer.Fingerprint(token), !s.cfg.Now().Before(t.Expires):
		return Login{}, refused
	}
	subject, err := s.cfg.Principals.ByID(ctx, t.User)
	switch {
	case errors.Is(err, NotFound):
		return Login{}, refused
	case err != nil:
		return Login{}, err
	}
	p := subject.Principal()
	if p == nil || !p.User.Active || len(p.User.GrantTypes) == 0 {
		return Login{}, refused
	}
	return Login{Subject: subject, Proof: Proof{Username: p.User.Username, Token: t.ID, Expires: t.Expires}}, nil
}

// Recall returns a login from before a restart, of which the proof was written
// down. Whether it still holds is for the caller to ask (Proof.Holds). It returns
// NotFound when there is no such user any more, and Unavailable when the store
// can't be asked.
func (s *SignIn) Recall(ctx context.Context, id UserID, proof Proof) (Login, error) {
	subject, err := s.cfg.Principals.ByID(ctx, id)
	if err != nil {
		return Login{}, err
	}
	if subject.Principal() == nil {
		return Login{}, Errorf(NotFound, "", "no such user")
	}
	if proof.Certificate != "" {
		removed, err := s.cfg.CertificateRemoved(ctx, proof.Certificate)
		if err != nil {
			return Login{}, err
		}
		proof.Trusted = proof.Trusted && !removed
	}
	proof.anchors = s.cfg.Anchors
	return Login{Subject: subject, Proof: proof}, nil
}

// identify finds whom the attempt is about: a registered certificate is its user's, a
// trusted one that of the user whose name it carries, else the name is taken at its
// word.
func (s *SignIn) identify(ctx context.Context, a Attempt) (*Subject, error) {
	if a.Certificate != nil {
		subject, err := s.ownerOf(ctx, a.Certificate)
		if err != nil {
			return nil, err
		}
		if subject != nil && a.Username != "" && a.Username != nameIn(subject) {
			return nil, &Error{
				Code: Forbidden, Detail: "the certificate is another user's",
				Err: fmt.Errorf("of %s, not of %s", nameIn(subject), a.Username),
			}
		}
		if subject != nil {
			return subject, nil
		}
	}
	if ValidateUsername(a.Username) != nil {
		return nil, Errorf(NotFound, "", "no such user") // not worth a question to the store
	}
	return s.cfg.Principals.ByName(ctx, a.Username)
}

// ownerOf returns the user whose certificate c is, nil if it is nobody's. It returns
// Forbidden for one that is registered for a user and names another one, with a CA
// that is trusted for that: a fingerprint is known to many, and proves nothing.
func (s *SignIn) ownerOf(ctx context.Context, c *Certificate) (*Subject, error) {
	owner, err := present(s.cfg.Principals.ByFingerprint(ctx, c.SHA256))
	if err != nil {
		return nil, err
	}
	named, err := s.namedBy(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case owner == nil:
		return named, nil
	case named != nil && named.ID() != owner.ID() && c.Trusted:
		return nil, &Error{
			Code: Forbidden, Detail: "the certificate is registered for one user and names another",
			Err: fmt.Errorf("registered for %s, names %s", nameIn(owner), nameIn(named)),
		}
	default:
		return owner, nil
	}
}

// namedBy returns the user whose name is in c, nil if there is none or if nobody
// vouches for the name.
func (s *SignIn) namedBy(ctx context.Context, c *Certificate) (*Subject, error) {
	if vouched := c.Own || s.trusted(c); vouched && ValidateUsername(c.CommonName) == nil {
		return present(s.cfg.Principals.ByName(ctx, c.CommonName))
	}
	return nil, nil
}

// present returns a subject that was looked for, nil if there is none.
func present(s *Subject, err error) (*Subject, error) {
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	if s.Principal() == nil {
		return nil, nil
	}
	return s, nil
}

// nameIn returns the name of a subject's user, empty if that is gone.
func nameIn(s *Subject) string {
	if s == nil {
		return ""
	}
	if p := s.Principal(); p != nil {
		return p.User.Username
	}
	return ""
}

// refuseNobody refuses an attempt about a user that does not exist, after the
// work that a wrong password costs.
func (s *SignIn) refuseNobody(ctx context.Context, a Attempt) error {
	if a.HasPassword {
		if err := s.cfg.Passwords.VerifyNobody(ctx, a.Username, a.Password); err != nil {
			return err
		}
		return errWrong()
	}
	if a.Certificate != nil {
		return a.Certificate.refusal("the certificate is no user's")
	}
	return errWrong()
}

// prove checks every credential brought that the user may use. One that is
// wrong refuses the attempt, whatever else is right.
func (s *SignIn) prove(ctx context.Context, p *Principal, a Attempt) (proof Proof, err error) {
	u := p.User
	proof = Proof{Username: u.Username}
	named, err := s.certificateNames(ctx, u, a.Certificate)
	if err != nil {
		return Proof{}, err
	}
	if named {
		s.proveCertificate(&proof, a.Certificate)
	}
	passwordGranted, _ := u.Granted(MethodPassword)
	tokenGranted, _ := u.Granted(MethodToken)
	switch {
	case !a.HasPassword && named:
		return proof, nil
	case !a.HasPassword && a.Certificate != nil:
		return Proof{}, a.Certificate.refusal("the certificate is not this user's")
	case !a.HasPassword:
		return Proof{}, errWrong()
	case tokenGranted && a.TokenAsPassword && looksLikeToken(a.Password):
		err = s.proveToken(ctx, &proof, u, a.Password)
	case !passwordGranted && named:
		return proof, nil // it signs in with the certificate; what it sends besides is not looked at
	default:
		err = s.provePassword(ctx, &proof, u, a.Password)
	}
	return proof, err
}

func (s *SignIn) proveCertificate(proof *Proof, c *Certificate) {
	proof.Certificate, proof.CertificateEnds, proof.CommonName = c.SHA256, c.NotAfter, c.CommonName
	proof.Own, proof.Trusted, proof.Paths, proof.anchors = c.Own, c.Trusted, c.Paths, s.cfg.Anchors
}

func (s *SignIn) proveToken(ctx context.Context, proof *Proof, u *User, token string) error {
	login, err := s.Token(ctx, token)
	if err != nil {
		return err
	}
	if login.Subject.ID() != u.ID {
		return errWrong()
	}
	proof.Token = login.Proof.Token
	proof.expire(login.Proof.Expires)
	return nil
}

func (s *SignIn) provePassword(ctx context.Context, proof *Proof, u *User, password string) error {
	if u.Provider != ProviderLocal || u.PasswordHash == "" {
		if err := s.cfg.Passwords.VerifyNobody(ctx, u.Username, password); err != nil {
			return err
		}
		return errWrong()
	}
	ok, err := s.cfg.Passwords.Verify(ctx, u.Username, u.PasswordHash, password)
	if err == nil && !ok {
		err = errWrong()
	}
	proof.PasswordSet = u.PasswordSet
	return err
}

// certificateNames reports whether the certificate is that of the user: it is
// registered for it or, if the user is not pinned, trusted, with its name, and never
// removed. A nil one is nobody's.
func (s *SignIn) certificateNames(ctx context.Context, u *User, c *Certificate) (bool, error) {
	now := s.cfg.Now()
	if c == nil || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return false, nil
	}
	if u.pinned() {
		return u.FingerprintValid(c.SHA256, now), nil
	}
	if !s.trusted(c) || c.CommonName != u.Username {
		return false, nil
	}
	removed, err := s.cfg.CertificateRemoved(ctx, c.SHA256)
	return !removed, err
}

// trusted reports whether a CA is trusted now for the name in the certificate.
func (s *SignIn) trusted(c *Certificate) bool {
	return c.Trusted && (s.cfg.Anchors == nil || s.cfg.Now().Before(trustedUntil(c.Paths, s.cfg.Anchors)))
}

// PasswordIsToken reports whether the password has the form of a token.
func (a *Attempt) PasswordIsToken() bool { return looksLikeToken(a.Password) }

// looksLikeToken reports whether a password is a compact JWS: three parts, the
// first of which begins a JSON object.
func looksLikeToken(s string) bool {
	return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2
}

func errWrong() error { return Errorf(Unauthenticated, "", "wrong user name or password") }
