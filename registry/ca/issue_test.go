package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestIssueProfile(t *testing.T) {
	a := newAuthorityAt(t, noon())
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"RSA", []string{"-newkey", "rsa:2048"}},
		{"ECDSA", nil},
		{"Ed25519", []string{"-newkey", "ed25519"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			csr := opensslCSR(t, append(tt.args, "-subj", "/O=Plant/CN=gw-1",
				"-addext", "subjectAltName=URI:urn:mqttwarden:user:gw-1", "-addext", "extendedKeyUsage=serverAuth")...)
			req, err := ParseRequest(csr, "gw-1", nil)
			if err != nil {
				t.Fatal(err)
			}
			issued, err := a.Issue(req, 0, noon())
			if err != nil {
				t.Fatal(err)
			}
			c := parsePEM(t, issued.PEM)
			sum := sha256.Sum256(c.Raw)
			for _, f := range []struct {
				name      string
				got, want any
			}{
				{"subject is the username only", c.Subject.String(), "CN=gw-1"},
				{"starts five minutes back", c.NotBefore, noon().Add(-5 * time.Minute)},
				{"lives a year", c.NotAfter, noon().AddDate(1, 0, 0)},
				{"NotBefore handed out", issued.NotBefore, c.NotBefore},
				{"NotAfter handed out", issued.NotAfter, c.NotAfter},
				{"serial", issued.Serial, FormatSerial(c.SerialNumber)},
				{"fingerprint", issued.Fingerprint, hex.EncodeToString(sum[:])},
				{"no CA", c.BasicConstraintsValid && !c.IsCA, true},
				{"key usage", c.KeyUsage, x509.KeyUsageDigitalSignature},
				{"one extended key usage", len(c.ExtKeyUsage) + len(c.UnknownExtKeyUsage), 1},
				{"which is client authentication", c.ExtKeyUsage[0], x509.ExtKeyUsageClientAuth},
				{"authority key identifier", string(c.AuthorityKeyId), string(a.chain[0].SubjectKeyId)},
				{"subject key identifier", len(c.SubjectKeyId), 20},
				{"CRL", strings.Join(c.CRLDistributionPoints, " "), "http://pki.example.com/ca.crl"},
				{"OCSP", strings.Join(c.OCSPServer, " "), "http://pki.example.com/ocsp"},
				{"URI", c.URIs[0].String(), "urn:mqttwarden:user:gw-1"},
			} {
				if f.got != f.want {
					t.Errorf("%s: got %v, want %v", f.name, f.got, f.want)
				}
			}

			dir := t.TempDir()
			writeFile(t, dir, "root.pem", a.RootPEM())
			writeFile(t, dir, "chain.pem", issued.ChainPEM)
			writeFile(t, dir, "leaf.pem", issued.PEM)
			verify := []string{"verify", "-x509_strict", "-attime", strconv.FormatInt(noon().Unix(), 10), "-CAfile", "root.pem", "-untrusted", "chain.pem", "-purpose"}
			mustOpenssl(t, dir, append(verify, "sslclient", "leaf.pem")...)
			if out, ok := openssl(t, dir, append(verify, "sslserver", "leaf.pem")...); ok || !strings.Contains(out, "unsuitable certificate purpose") {
				t.Errorf("openssl takes it for a server's:\n%s", out)
			}
			text := mustOpenssl(t, dir, "x509", "-noout", "-text", "-in", "leaf.pem")
			for _, want := range []string{"Basic Constraints: critical\n                CA:FALSE", "Key Usage: critical\n                Digital Signature\n", "TLS Web Client Authentication\n"} {
				if !strings.Contains(text, want) {
					t.Errorf("openssl shows no %q in\n%s", want, text)
				}
			}
			out := mustOpenssl(t, dir, "x509", "-noout", "-fingerprint", "-sha256", "-serial", "-in", "leaf.pem")
			_, printed, _ := strings.Cut(strings.Split(out, "\n")[0], "=")
			if fp := strings.ToLower(strings.ReplaceAll(printed, ":", "")); fp != issued.Fingerprint {
				t.Errorf("openssl prints the fingerprint %q, want %q", printed, issued.Fingerprint)
			}
			if !strings.Contains(strings.ToLower(out), "serial="+issued.Serial+"\n") {
				t.Errorf("openssl shows another serial number than %s:\n%s", issued.Serial, out)
			}
		})
	}
}

func TestIssueWithoutURLsNamesNone(t *testing.T) {
	a, _, err := Create(Config{}, noon())
	if err != nil {
		t.Fatal(err)
	}
	if _, c := issue(t, a, "gw-1", noon()); len(c.CRLDistributionPoints)+len(c.OCSPServer) > 0 {
		t.Errorf("names %v %v", c.CRLDistributionPoints, c.OCSPServer)
	}
}

func TestIssueLife(t *testing.T) {
	a := newAuthorityAt(t, noon())
	req, err := ParseRequest(csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gw-1"}}, newKey(t)), "gw-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		life time.Duration
		now  time.Time
		want time.Time
	}{
		{"as asked", time.Hour, noon(), noon().Add(time.Hour)},
		{"zero is a year", 0, noon(), noon().AddDate(1, 0, 0)},
		{"never past the authority", 20 * 365 * 24 * time.Hour, noon(), a.NotAfter()},
		{"in the authority's last year", 0, noon().AddDate(4, 6, 0), a.NotAfter()},
	} {
		issued, err := a.Issue(req, tt.life, tt.now)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if !issued.NotAfter.Equal(tt.want) {
			t.Errorf("%s: until %v, want %v", tt.name, issued.NotAfter, tt.want)
		}
	}
	if _, err := a.Issue(req, 0, a.NotAfter().Add(time.Second)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its end: got %v, want ErrExpired", err)
	}
	if _, err := a.Issue(req, 0, noon().AddDate(0, 0, -1)); !errors.Is(err, ErrNotYetValid) {
		t.Errorf("before it is valid: got %v, want ErrNotYetValid", err)
	}
	for _, life := range []time.Duration{-time.Hour, time.Second} {
		if _, err := a.Issue(req, life, noon()); err == nil {
			t.Errorf("issued for %v", life)
		}
	}
	for _, r := range []*Request{nil, {}} {
		if _, err := a.Issue(r, 0, noon()); err == nil {
			t.Error("issued for a request that nobody checked")
		}
	}
}

func TestIssueRefusesWhatWouldNotVerify(t *testing.T) {
	root := newCA(t, "root", nil, nil, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"plant.example.com"}
	})
	a, err := Import(Config{}, []byte(root.pem()), []byte(keyPEM(t, root.key)), noon())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.IssueServer(newKey(t), []string{"broker.plant.example.com"}, noon()); err != nil {
		t.Error(err)
	}
	if _, err := a.IssueServer(newKey(t), []string{"broker.example.com"}, noon()); err == nil {
		t.Error("issued against the authority's name constraints")
	}
}

func TestSerialsAreRandom(t *testing.T) {
	a := newAuthorityAt(t, noon())
	seen := map[string]bool{}
	var highest *big.Int
	for range 64 {
		_, c := issue(t, a, "gw-1", noon())
		if s := FormatSerial(c.SerialNumber); seen[s] {
			t.Fatalf("%s twice", s)
		} else {
			seen[s] = true
		}
		if highest == nil || c.SerialNumber.Cmp(highest) > 0 {
			highest = c.SerialNumber
		}
	}
	if highest.BitLen() < 120 { // chance: 2^-512
		t.Errorf("the highest of 64 has %d bits, want about 128", highest.BitLen())
	}
}

func BenchmarkIssue(b *testing.B) {
	a := newAuthorityAt(b, noon())
	req, err := ParseRequest(csrFor(b, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gw-1"}}, newKey(b)), "gw-1", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Issue(req, 0, noon()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	csr := csrFor(b, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gw-1"}}, newKey(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(csr, "gw-1", nil); err != nil {
			b.Fatal(err)
		}
	}
}
