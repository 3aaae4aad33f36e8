package registrytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/netip"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/pki"
)

// Request is one that meets every rule; its password is the name and "-secret".
func Request(name string) enrol.Request {
	return enrol.Request{
		Username: name, Password: name + "-secret", Context: "line 3, left", Source: registry.SourceHTTP,
		Remote: netip.MustParseAddr("192.0.2.7"),
	}
}

// OpenWindow has registrations taken for d.
func (r *Rig) OpenWindow(d time.Duration) {
	r.T.Helper()
	_, _, err := r.Enrolment.OpenWindow(r.T.Context(), r.Admin, d)
	Must(r.T, err)
}

// LockWindow has no more registrations taken.
func (r *Rig) LockWindow() {
	r.T.Helper()
	_, err := r.Enrolment.LockWindow(r.T.Context(), r.Admin)
	Must(r.T, err)
}

// Register asks, and ends the test unless the answer has that status.
func (r *Rig) Register(req enrol.Request, want registry.RegistrationStatus) enrol.Answer {
	r.T.Helper()
	got, err := r.Enrolment.Register(r.T.Context(), req)
	if err != nil || got.Status != want {
		r.T.Fatalf("register %s: %q, %v; want %q", req.Username, got.Status, err, want)
	}
	return got
}

// RegisterRefused asks, and wants an error.
func (r *Rig) RegisterRefused(what string, req enrol.Request, code registry.Code) {
	r.T.Helper()
	got, err := r.Enrolment.Register(r.T.Context(), req)
	if err == nil {
		r.T.Errorf("%s: answered %q", what, got.Status)
	}
	WantCode(r.T, what, err, code)
}

// Confirm grants a pending registration.
func (r *Rig) Confirm(name string) registry.User {
	r.T.Helper()
	u, n, err := r.Enrolment.Confirm(r.T.Context(), r.Admin, enrol.Confirmation{Ref: enrol.Ref{Username: name}})
	if err != nil || n == 0 {
		r.T.Fatalf("confirm %s: number %d, %v", name, n, err)
	}
	return u
}

// Pending returns the names that wait for a decision.
func (r *Rig) Pending() []string {
	r.T.Helper()
	list, err := r.Enrolment.Pending(r.T.Context())
	Must(r.T, err)
	var names []string
	for _, p := range list {
		names = append(names, p.Username)
	}
	return names
}

// Device makes a user with a certificate of ours, through a registration, and
// returns it with the certificate.
func (r *Rig) Device(name string) (registry.User, *x509.Certificate) {
	r.T.Helper()
	r.OpenWindow(time.Minute)
	req := Request(name)
	req.Password, req.CSR = "", NewCSR(r.T, name)
	r.Register(req, registry.RegistrationPending)
	u := r.Confirm(name)
	return u, Parse(r.T, r.Register(req, registry.RegistrationGranted).Certificate)
}

// Shown is what the TLS layer makes of a certificate.
func (r *Rig) Shown(chain ...*x509.Certificate) *registry.Certificate {
	return r.PKI.Trust().Certificate(chain, pki.MapCommonName)
}

// Certificate is what the TLS layer says of a certificate that is in its time,
// though not by what it is trusted.
func (r *Rig) Certificate(sha256, name string, trusted bool) *registry.Certificate {
	return &registry.Certificate{
		SHA256: sha256, CommonName: name, Trusted: trusted,
		NotBefore: r.Now().Add(-time.Hour), NotAfter: r.Now().Add(time.Hour),
	}
}

// LoginWith signs in with a certificate alone.
func (r *Rig) LoginWith(chain ...*x509.Certificate) (registry.Login, error) {
	return r.SignIn.In(r.T.Context(), registry.Attempt{Certificate: r.Shown(chain...)})
}

// NewCSR returns a certificate request for a name, with a key of its own.
func NewCSR(tb testing.TB, name string) string {
	tb.Helper()
	return CSRWith(tb, name, NewKey(tb))
}

// CSRWith returns a certificate request for a key, with organizations in its subject.
func CSRWith(tb testing.TB, name string, key *ecdsa.PrivateKey, organizations ...string) string {
	tb.Helper()
	subject := pkix.Name{CommonName: name, Organization: organizations}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	Must(tb, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// NewKey returns a new key.
func NewKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Must(tb, err)
	return key
}

// Parse returns the one certificate in text.
func Parse(tb testing.TB, text string) *x509.Certificate {
	tb.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		tb.Fatalf("not one PEM block: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	Must(tb, err)
	return c
}
