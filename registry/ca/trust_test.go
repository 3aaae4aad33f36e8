package ca

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseTrustPEM(t *testing.T) {
	one, two := newCA(t, "one", nil, nil, nil), newCA(t, "two", nil, nil, nil)
	below := newCA(t, "below", &one, nil, nil)
	in := "# plant\n" + one.pem() + "\nsecond\n" + two.pem() + one.pem() + below.pem()
	anchors, err := ParseTrustPEM([]byte(in), noon())
	if err != nil {
		t.Fatal(err)
	}
	want := []testCA{one, two, below} // one counts once; an intermediate may be trusted
	if len(anchors) != len(want) {
		t.Fatalf("%d anchors, want %d", len(anchors), len(want))
	}
	for i, a := range anchors {
		if !a.Certificate.Equal(want[i].cert) || a.PEM != want[i].pem() || a.Fingerprint != Fingerprint(want[i].cert) {
			t.Errorf("anchor %d is %v", i, a.Certificate.Subject)
		}
	}
}

// TestParseTrustPEMTakesWhatTutorialsMake: openssl's default CA certificate has
// no key usage at all.
func TestParseTrustPEMTakesWhatTutorialsMake(t *testing.T) {
	dir := t.TempDir()
	mustOpenssl(t, dir, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=My CA", "-days", "30")
	anchors, err := ParseTrustPEM([]byte(readFile(t, filepath.Join(dir, "ca.pem"))), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(anchors); n != 1 || anchors[0].Certificate.KeyUsage != 0 {
		t.Errorf("%d anchors; this test is about one without key usage", n)
	}
}

func TestParseTrustPEMRefuses(t *testing.T) {
	good := newCA(t, "good", nil, nil, nil)
	bad := func(change func(*x509.Certificate)) string { return newCA(t, "bad", nil, nil, change).pem() }
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := issue(t, newAuthorityAt(t, noon()), "gw-1", noon())
	for _, tt := range []struct {
		name     string
		in       string
		position int
		want     string
	}{
		{"nothing", "", 0, "no PEM block"},
		{"no PEM", "hello", 0, "no PEM block"},
		{"too long", strings.Repeat("x", MaxTrustPEM+1), 0, "more than 262144 bytes"},
		{"a device's certificate", good.pem() + leaf.PEM, 2, `certificate 2 ("CN=gw-1"): is not a CA`},
		{"a CA that may not sign", good.pem() + bad(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), 2, "keyCertSign"},
		{"expired", bad(func(c *x509.Certificate) { c.NotAfter = noon().Add(-time.Second) }), 1, "has expired on 2026-03-01T11:59:59Z"},
		{"not valid yet", bad(func(c *x509.Certificate) { c.NotBefore = noon().Add(time.Second) }), 1, "is not valid before"},
		{"a weak key", newCA(t, "weak", nil, weak, nil).pem(), 1, "RSA with 1024 bits"},
		{"a private key", good.pem() + keyPEM(t, good.key), 2, "is a private key"},
		{"a request", csrFor(t, &x509.CertificateRequest{}, newKey(t)), 1, "not a CERTIFICATE block"},
		{"garbage in a block", good.pem() + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("garbage")})), 2, "cannot be parsed"},
		{"a damaged block before a good one", good.pem() + "-----BEGIN CERTIFICATE-----\n!\n" + good.pem(), 2, "damaged PEM"},
		{"a block without end", good.pem() + strings.Split(good.pem(), "-----END")[0], 2, "damaged PEM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			anchors, err := ParseTrustPEM([]byte(tt.in), noon())
			wantCertificateError(t, tt.name, err, tt.position, tt.want)
			if anchors != nil {
				t.Error("trusts by halves")
			}
			if strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("the error repeats the input: %v", err)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		small, err := ParseTrustPEM([]byte(strings.Repeat(good.pem(), maxCertificates)), noon())
		if err != nil || len(small) != 1 {
			t.Errorf("%d certificates: %d anchors, %v", maxCertificates, len(small), err)
		}
		_, err = ParseTrustPEM([]byte(strings.Repeat(good.pem(), maxCertificates+1)), noon())
		wantCertificateError(t, "too many", err, 0, "more than 128 certificates")
	})
}

// TestTimeEndsNoBundle: a file that stays where it is must not become useless with the
// first of its certificates that ends.
func TestTimeEndsNoBundle(t *testing.T) {
	good := newCA(t, "good", nil, nil, nil)
	past := newCA(t, "past", nil, nil, func(c *x509.Certificate) { c.NotAfter = noon().Add(-time.Second) })
	ahead := newCA(t, "ahead", nil, nil, func(c *x509.Certificate) { c.NotBefore = noon().Add(time.Second) })
	anchors, err := ParseTrustBundle([]byte(past.pem()+good.pem()+ahead.pem()+good.pem()), 4)
	if err != nil || len(anchors) != 3 {
		t.Fatalf("%d anchors, %v, want 3", len(anchors), err)
	}
	for i, want := range []string{"has expired on 2026-03-01T11:59:59Z", "", "is not valid before 2026-03-01T12:00:01Z"} {
		if got := ValidityProblem(anchors[i].Certificate, noon()); got != want {
			t.Errorf("%v: told %q, want %q", anchors[i].Certificate.Subject, got, want)
		}
	}
	many := strings.Repeat("# what it is for\n"+good.pem(), 1000)
	if anchors, err := ParseTrustBundle([]byte(many), 1000); err != nil || len(anchors) != 1 {
		t.Errorf("a bundle of 1000: %d anchors, %v", len(anchors), err)
	}
	_, err = ParseTrustBundle([]byte(many), 999)
	wantCertificateError(t, "one too many", err, 0, "more than 999 certificates")
}

func FuzzParseTrustPEM(f *testing.F) {
	ca := newCA(f, "ca", nil, nil, nil)
	f.Add([]byte(ca.pem()))
	f.Add([]byte("x" + ca.pem() + "\n\n" + ca.pem()))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		anchors, err := ParseTrustPEM(data, noon())
		if err != nil {
			if _, ok := errors.AsType[*CertificateError](err); !ok || !printable(err.Error()) {
				t.Fatalf("error is not fit to be shown: %q", err)
			}
			return
		}
		if len(anchors) == 0 {
			t.Fatal("neither anchors nor an error")
		}
		for _, a := range anchors {
			if !a.Certificate.IsCA {
				t.Errorf("trusts %v, which is no CA", a.Certificate.Subject)
			}
			if again, err := ParseTrustPEM([]byte(a.PEM), noon()); err != nil || len(again) != 1 || again[0].Fingerprint != a.Fingerprint {
				t.Errorf("does not read back: %v", err)
			}
		}
	})
}
