// Package bearer signs and verifies the JWTs that stand for registered tokens (RFC
// 7519, RS256 of RFC 7518). That a token verifies says only that we made it; whether it
// has been revoked is for the registry to say.
package bearer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// MaxLength is the length of the longest token that Verify accepts, in bytes.
const MaxLength = 4096

// keyBits is the size of a new signing key (RFC 7518 section 3.3 asks for 2048
// or more).
const keyBits = 2048

// ErrToken is returned for every token that is not one of ours or has expired.
var ErrToken = errors.New("bearer: not a valid token")

// Claims are the claims of a token.
type Claims struct {
	ID      string // jti
	Subject string // sub: the user's id
	Issued  time.Time
	Expires time.Time
}

// NewKey makes a signing key and returns it in PKCS #8 DER form.
func NewKey(random io.Reader) ([]byte, error) {
	if random == nil {
		random = rand.Reader
	}
	key, err := rsa.GenerateKey(random, keyBits)
	if err != nil {
		return nil, fmt.Errorf("bearer: make key: %w", err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// Signer signs and verifies the tokens of one issuer.
type Signer struct {
	issuer string
	signer jose.Signer
	public *rsa.PublicKey
}

// NewSigner returns a signer with the key der, which NewKey made. Its tokens name
// issuer as issuer and audience.
func NewSigner(der []byte, issuer string) (*Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("bearer: read key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("bearer: key is %T, not RSA", parsed)
	}
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID(&key.PublicKey))
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, opts)
	if err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	return &Signer{issuer: issuer, signer: s, public: &key.PublicKey}, nil
}

// Sign returns a token with the claims c. Times are cut to whole seconds.
func (s *Signer) Sign(c Claims) (string, error) {
	raw, err := jwt.Signed(s.signer).Claims(jwt.Claims{
		ID:       c.ID,
		Subject:  c.Subject,
		Issuer:   s.issuer,
		Audience: jwt.Audience{s.issuer},
		IssuedAt: jwt.NewNumericDate(c.Issued),
		Expiry:   jwt.NewNumericDate(c.Expires),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("bearer: sign: %w", err)
	}
	return raw, nil
}

// Verify returns the claims of a token if it is ours and has not expired at now, else
// ErrToken. It accepts no other algorithm than RS256.
func (s *Signer) Verify(token string, now time.Time) (Claims, error) {
	if len(token) > MaxLength {
		return Claims{}, ErrToken
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Claims{}, ErrToken
	}
	var c jwt.Claims
	if err := parsed.Claims(s.public, &c); err != nil {
		return Claims{}, ErrToken
	}
	expected := jwt.Expected{Issuer: s.issuer, AnyAudience: jwt.Audience{s.issuer}, Time: now}
	if err := c.ValidateWithLeeway(expected, 0); err != nil || c.ID == "" || c.Subject == "" || c.Expiry == nil {
		return Claims{}, ErrToken
	}
	return Claims{ID: c.ID, Subject: c.Subject, Issued: c.IssuedAt.Time(), Expires: c.Expiry.Time()}, nil
}

// Fingerprint names a token without revealing it: its SHA-256 in lower-case
// hexadecimal.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func keyID(key *rsa.PublicKey) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return hex.EncodeToString(sum[:8])
}
