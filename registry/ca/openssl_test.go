package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is when tests happen that do not depend on the real time.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// openssl runs the real openssl in dir and returns what it printed and whether
// it succeeded. A machine without it fails the test: what others make of our
// certificates is the point.
func openssl(t testing.TB, dir string, args ...string) (string, bool) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("these tests need the openssl program: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// mustOpenssl is openssl for what has to succeed.
func mustOpenssl(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, ok := openssl(t, dir, args...)
	if !ok {
		t.Fatalf("openssl %s:\n%s", strings.Join(args, " "), out)
	}
	return out
}

// opensslCSR returns a request in PEM, for /CN=gw-1 unless args say otherwise.
func opensslCSR(t testing.TB, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	base := []string{"req", "-new", "-nodes", "-batch", "-keyout", "key.pem", "-out", "csr.pem"}
	if !slices.Contains(args, "-subj") {
		base = append(base, "-subj", "/CN=gw-1")
	}
	if !slices.Contains(args, "-newkey") {
		base = append(base, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
	}
	mustOpenssl(t, dir, append(base, args...)...)
	return readFile(t, filepath.Join(dir, "csr.pem"))
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile[T string | []byte](t testing.TB, dir, name string, content T) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newAuthorityAt returns a fresh authority that names a CRL and a responder.
func newAuthorityAt(t testing.TB, now time.Time) *Authority {
	t.Helper()
	a, _, err := Create(Config{CRLURL: "http://pki.example.com/ca.crl", OCSPURL: "http://pki.example.com/ocsp"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// csrFor returns a request made by crypto/x509, in PEM.
func csrFor(t testing.TB, tmpl *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// issue returns a certificate for username, of default life.
func issue(t testing.TB, a *Authority, username string, now time.Time) (*Issued, *x509.Certificate) {
	t.Helper()
	req, err := ParseRequest(csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: username}}, newKey(t)), username, nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Issue(req, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	return issued, parsePEM(t, issued.PEM)
}

// parsePEM returns the only certificate in s.
func parsePEM(t testing.TB, s string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(s))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("not one PEM block: %q", s)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
