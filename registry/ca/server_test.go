package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMutualTLS connects a device and a listener that know nothing but what was
// handed out to them.
func TestMutualTLS(t *testing.T) {
	a := newAuthorityAt(t, noon())
	server, err := a.IssueServer(newKey(t), []string{"broker.example.com", "127.0.0.1"}, noon())
	if err != nil {
		t.Fatal(err)
	}
	serverPair, err := tls.X509KeyPair([]byte(server.FullPEM), server.PrivateKeyPEM())
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	req, err := ParseRequest(csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gw-1"}}, key), "gw-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Issue(req, 0, noon())
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	for _, c := range a.Certificates() {
		trusted.AddCert(c)
	}
	anchor := x509.NewCertPool()
	if !anchor.AppendCertsFromPEM([]byte(a.RootPEM())) {
		t.Fatal("no root")
	}
	for name, present := range map[string]string{"full chain": issued.FullPEM, "certificate only": issued.PEM} {
		t.Run(name, func(t *testing.T) {
			pair, err := tls.X509KeyPair([]byte(present), []byte(keyPEM(t, key)))
			if err != nil {
				t.Fatal(err)
			}
			s, c := net.Pipe()
			t.Cleanup(func() { _, _ = s.Close(), c.Close() })
			srv := tls.Server(s, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{serverPair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, Time: noon})
			cli := tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: anchor, ServerName: "broker.example.com", Time: noon})
			done := make(chan error, 1)
			go func() { done <- cli.HandshakeContext(t.Context()) }()
			if err := srv.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := srv.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "gw-1" {
				t.Errorf("the listener sees %q", got)
			}
		})
	}
}

func TestIssueServer(t *testing.T) {
	a := newAuthorityAt(t, noon())
	s, err := a.IssueServer(newKey(t), []string{"Broker.example.com", "*.plant.example.com", "127.0.0.1", "::1", "::ffff:127.0.0.1", "broker.example.com", "my_broker"}, noon())
	if err != nil {
		t.Fatal(err)
	}
	c := parsePEM(t, s.PEM)
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"common name", c.Subject.String(), "CN=broker.example.com"},
		{"DNS names, each once", strings.Join(c.DNSNames, " "), "broker.example.com *.plant.example.com my_broker"},
		{"addresses, each once", len(c.IPAddresses), 2},
		{"whole life, both ends counted", c.NotAfter.Sub(c.NotBefore) + time.Second, MaxServerLife},
		{"one extended key usage", len(c.ExtKeyUsage), 1},
		{"which is server authentication", c.ExtKeyUsage[0], x509.ExtKeyUsageServerAuth},
		{"no OCSP", len(c.OCSPServer), 0},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %v, want %v", f.name, f.got, f.want)
		}
	}
	dir := t.TempDir()
	writeFile(t, dir, "root.pem", a.RootPEM())
	writeFile(t, dir, "full.pem", s.FullPEM)
	at := strconv.FormatInt(noon().Unix(), 10)
	for _, args := range [][]string{{"-verify_hostname", "broker.example.com"}, {"-verify_hostname", "a.plant.example.com"}, {"-verify_ip", "127.0.0.1"}, {"-verify_ip", "::1"}} {
		base := []string{"verify", "-x509_strict", "-attime", at, "-purpose", "sslserver", "-CAfile", "root.pem", "-untrusted", "full.pem"}
		mustOpenssl(t, dir, append(append(base, args...), "full.pem")...)
	}
	mustOpenssl(t, dir, "pkey", "-check", "-noout", "-in", writeFile(t, dir, "key.pem", s.PrivateKeyPEM()))

	long := strings.Repeat("a", 63) + ".example.com"
	s, err = a.IssueServer(newKey(t), []string{long}, noon())
	if err != nil {
		t.Fatal(err)
	}
	if c := parsePEM(t, s.PEM); c.Subject.String() != "" || c.VerifyHostname(long) != nil {
		t.Errorf("a host too long for a common name: subject %v, names %v", c.Subject, c.DNSNames)
	}
	out := mustOpenssl(t, dir, "x509", "-noout", "-ext", "subjectAltName", "-in", writeFile(t, dir, "long.pem", s.PEM))
	if !strings.Contains(out, "critical") {
		t.Errorf("without a subject the names must be critical:\n%s", out)
	}
}

func TestServerKeysAreOfTheirKind(t *testing.T) {
	a := newAuthorityAt(t, noon())
	for _, tt := range []struct {
		name string
		make func() (crypto.Signer, error)
		want string
	}{
		{"the usual one", NewServerKey, "P-256"},
		{"for clients that know RSA alone", NewRSAServerKey, "RSA 2048"},
	} {
		key, err := tt.make()
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.IssueServer(key, []string{"localhost"}, noon())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		switch pub := parsePEM(t, s.PEM).PublicKey.(type) {
		case *ecdsa.PublicKey:
			got = pub.Params().Name
		case *rsa.PublicKey:
			got = fmt.Sprintf("RSA %d", pub.N.BitLen())
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if _, err := tls.X509KeyPair([]byte(s.FullPEM), s.PrivateKeyPEM()); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestIssueServerRefusesBadHosts(t *testing.T) {
	a := newAuthorityAt(t, noon())
	for _, tt := range []struct {
		name  string
		hosts []string
	}{
		{"none", nil},
		{"too many", make([]string, maxHosts+1)},
		{"empty", []string{""}},
		{"a port", []string{"localhost:8883"}},
		{"a URL", []string{"https://localhost"}},
		{"an umlaut", []string{"gerät.example.com"}},
		{"an inner wildcard", []string{"a.*.example.com"}},
		{"a wildcard alone", []string{"*"}},
		{"a wildcard and nothing", []string{"*."}},
		{"an empty label", []string{"a..b"}},
		{"a label of 64", []string{strings.Repeat("a", 64)}},
		{"a hyphen in front", []string{"-a.example.com"}},
		{"a zone", []string{"fe80::1%eth0"}},
		{"NUL", []string{"localhost\x00"}},
	} {
		_, err := a.IssueServer(newKey(t), tt.hosts, noon())
		if e, ok := errors.AsType[*RequestError](err); !ok || e.Field != "hosts" {
			t.Errorf("%s: got %v, want a *RequestError about hosts", tt.name, err)
		}
	}
}
