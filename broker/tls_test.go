package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{pool: x509.NewCertPool()}
	c := a.issue(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate with what template says. The first one signs itself.
func (a *authority) issue(tb testing.TB, template *x509.Certificate) *tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server(tb testing.TB) *tls.Certificate {
	return a.issue(tb, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func (a *authority) client(tb testing.TB, usage x509.ExtKeyUsage, end time.Time) *tls.Certificate {
	return a.issue(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: "gw1"}, ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: end,
	})
}

// seen is what the hook saw of a client's certificate.
type seen struct {
	name    string
	trusted bool
}

// secure starts a broker that speaks TLS and tells what it sees of its clients.
func secure(tb testing.TB, ca *authority, change func(*broker.TLS)) (*started, chan seen) {
	tb.Helper()
	saw := make(chan seen, 1)
	hook := &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		var s seen
		conn := cl.Net.Conn.(interface {
			PeerCertificates() []*x509.Certificate
			PeerTrusted() bool
		})
		if chain := conn.PeerCertificates(); len(chain) > 0 {
			s.name = chain[0].Subject.CommonName
		}
		s.trusted = conn.PeerTrusted()
		saw <- s
		return nil
	}}
	cert := ca.server(tb)
	settings := &broker.TLS{
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
		ClientCAs:   func() *x509.CertPool { return ca.pool },
	}
	if change != nil {
		change(settings)
	}
	return start(tb, hook, func(cfg *broker.Config) {
		cfg.Listeners[0].TLS = settings
		cfg.ConnectTimeout = time.Second
	}), saw
}

func dialTLS(tb testing.TB, b *started, ca *authority, cert *tls.Certificate) (*client, error) {
	cfg := &tls.Config{RootCAs: ca.pool}
	if cert != nil {
		// Shown whatever the broker says it accepts.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	conn, err := tls.Dial("tcp", b.Addr("mqtt").String(), cfg)
	if err != nil {
		return nil, err
	}
	return over(tb, conn, 5), nil
}

// Without CAs of ours, the system's must not do. (It comes first: the system's
// are read once.)
func TestCAsOfTheSystemAreNotTrusted(t *testing.T) {
	ca, public := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "public.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: public.cert.Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	for name, pool := range map[string]func() *x509.CertPool{"no function": nil, "no pool": func() *x509.CertPool { return nil }} {
		b, saw := secure(t, ca, func(s *broker.TLS) { s.ClientCAs = pool })
		c, err := dialTLS(t, b, ca, public.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		c.connect("c", nil)
		if got := <-saw; got.trusted {
			t.Errorf("%s: trusted", name)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	b, saw := secure(t, ca, nil)
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		want seen
	}{
		{"none", nil, seen{}},
		{"of our CA", ca.client(t, x509.ExtKeyUsageClientAuth, later), seen{"gw1", true}},
		{"of another CA", other.client(t, x509.ExtKeyUsageClientAuth, later), seen{"gw1", false}},
		{"of our CA, for servers", ca.client(t, x509.ExtKeyUsageServerAuth, later), seen{"gw1", false}},
		{"of our CA, expired", ca.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)), seen{"gw1", false}},
	} {
		c, err := dialTLS(t, b, ca, tt.cert)
		if err != nil {
			t.Fatal(err)
		}
		c.connect("c", nil)
		if got := <-saw; got != tt.want {
			t.Errorf("%s: saw %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestTrustedCAsMayChange(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	var pool atomic.Pointer[x509.CertPool]
	b, saw := secure(t, ca, func(s *broker.TLS) { s.ClientCAs = pool.Load })
	cert := other.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour))
	for _, now := range []*x509.CertPool{nil, ca.pool, other.pool, ca.pool} {
		pool.Store(now)
		c, err := dialTLS(t, b, ca, cert)
		if err != nil {
			t.Fatal(err)
		}
		c.connect("c", nil)
		if got, want := (<-saw).trusted, now == other.pool; got != want {
			t.Errorf("trusted: %t, want %t", got, want)
		}
	}
}

func TestClientCertificateMayBeRequired(t *testing.T) {
	ca := newAuthority(t)
	b, saw := secure(t, ca, func(s *broker.TLS) { s.ClientAuth = broker.ClientCertRequired })
	// With TLS 1.3 the client hears of it after its handshake.
	if c, err := dialTLS(t, b, ca, nil); err == nil {
		c.expectEnd()
	}
	eventually(t, "the handshake failed", func() bool { return b.Stats().HandshakesFailed == 1 })
	c, err := dialTLS(t, b, ca, newAuthority(t).client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	c.connect("c", nil)
	if got := <-saw; got != (seen{"gw1", false}) {
		t.Errorf("saw %+v", got)
	}
}

func TestClientCertificateMayBeIgnored(t *testing.T) {
	ca := newAuthority(t)
	b, saw := secure(t, ca, func(s *broker.TLS) { s.ClientAuth = broker.ClientCertIgnored })
	c, err := dialTLS(t, b, ca, ca.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	c.connect("c", nil)
	if got := <-saw; got != (seen{}) {
		t.Errorf("saw %+v, want nothing", got)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	ca := newAuthority(t)
	b, _ := secure(t, ca, nil)
	_, err := tls.Dial("tcp", b.Addr("mqtt").String(), &tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestHandshakeHasADeadline(t *testing.T) {
	ca := newAuthority(t)
	b, _ := secure(t, ca, nil)
	silent := dial(t, b, 5) // connected by TCP
	c, err := dialTLS(t, b, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	silent.expectEnd()
	c.expectEnd() // silent after the handshake
	if got := b.Stats().HandshakesFailed; got != 1 {
		t.Errorf("%d handshakes failed, want 1", got)
	}
}

func TestKickOverTLS(t *testing.T) {
	ca := newAuthority(t)
	hook, client := known()
	cert := ca.server(t)
	b := start(t, hook, func(cfg *broker.Config) {
		cfg.Listeners[0].TLS = &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
	})
	c, err := dialTLS(t, b, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.connect("c", nil)
	b.Kick(client("c"), packets.ErrAdministrativeAction)
	if code := c.expectEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
}
