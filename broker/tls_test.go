package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	template.NotBefore = time.Unix(1, 0) // also for a clock of synctest
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

// secure starts a broker that speaks TLS and tells whose certificate it sees of
// its clients.
func secure(tb testing.TB, ca *authority, change func(*broker.TLS)) (*started, chan string) {
	tb.Helper()
	saw := make(chan string, 1)
	hook := &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
		saw <- shown(cl)
		return nil
	}}
	cert := ca.server(tb)
	settings := &broker.TLS{
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
	}
	if change != nil {
		change(settings)
	}
	return start(tb, hook, func(cfg *broker.Config) {
		cfg.Listeners[0].TLS = settings
		cfg.ConnectTimeout = time.Second
	}), saw
}

// shown returns the name in the certificate that a client has shown, none if it
// has shown none.
func shown(cl *mqtt.Client) string {
	chain := cl.Net.Conn.(interface{ PeerCertificates() []*x509.Certificate }).PeerCertificates()
	if len(chain) == 0 {
		return ""
	}
	return chain[0].Subject.CommonName
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

func TestClientCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	b, saw := secure(t, ca, nil)
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		want string
	}{
		{"none", nil, ""},
		{"of our CA", ca.client(t, x509.ExtKeyUsageClientAuth, later), "gw1"},
		{"of another CA", other.client(t, x509.ExtKeyUsageClientAuth, later), "gw1"},
		{"of our CA, for servers", ca.client(t, x509.ExtKeyUsageServerAuth, later), "gw1"},
		{"of our CA, expired", ca.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)), "gw1"},
	} {
		c, err := dialTLS(t, b, ca, tt.cert)
		if err != nil {
			t.Fatal(err)
		}
		c.connect("c", nil)
		if got := <-saw; got != tt.want {
			t.Errorf("%s: saw %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestAResumedSessionIsJudgedAnew has clients come back with a ticket of TLS,
// which stands for the certificate they have shown before.
func TestAResumedSessionIsJudgedAnew(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var revoked atomic.Bool
		saw := make(chan string, 1)
		d := openDoors(t, &open{connect: func(cl *mqtt.Client, _ packets.Packet) error {
			saw <- shown(cl)
			if revoked.Load() {
				return packets.ErrNotAuthorized
			}
			return nil
		}}, nil)
		cfg := &tls.Config{
			RootCAs: d.ca.pool, ServerName: "127.0.0.1", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1),
			Certificates: []tls.Certificate{*d.ca.client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour))},
		}
		for i, want := range []byte{0, 0, 0x87} {
			revoked.Store(want != 0)
			secure := tls.Client(d.socket(t, "mqtts", "", nil), cfg)
			c := over(t, secure, 5)
			if code := c.connect("c", nil); code != want {
				t.Errorf("CONNACK %#02x, want %#02x", code, want)
			}
			if resumed := secure.ConnectionState().DidResume; resumed != (i > 0) {
				t.Errorf("connection %d was resumed: %t", i+1, resumed)
			}
			if got := <-saw; got != "gw1" {
				t.Errorf("connection %d: saw %q, want gw1", i+1, got)
			}
		}
	}
}

func TestClientCertificateMayBeRequired(t *testing.T) {
	ca := newAuthority(t)
	b, saw := secure(t, ca, func(s *broker.TLS) { s.ClientAuth = broker.ClientCertRequired })
	// With TLS 1.3 the client hears of it after its handshake.
	if c, err := dialTLS(t, b, ca, nil); err == nil {
		c.UntilEnd()
	}
	eventually(t, "the handshake failed", func() bool { return b.Stats().HandshakesFailed == 1 })
	c, err := dialTLS(t, b, ca, newAuthority(t).client(t, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	c.connect("c", nil)
	if got := <-saw; got != "gw1" {
		t.Errorf("saw %q", got)
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
	if got := <-saw; got != "" {
		t.Errorf("saw %q, want nothing", got)
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
	cert := newAuthority(t).server(t)
	l := broker.Listener{TLS: &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}}
	const timeout = 5 * time.Second
	inBubble(t, new(open), func(cfg *broker.Config) { cfg.ConnectTimeout = timeout }, func(t *testing.T, b *started) {
		began := time.Now()
		over(t, b.Pipe(l, local), 5).UntilEnd() // silent from the start
		if took := time.Since(began); took != timeout {
			t.Errorf("cut after %v, want %v", took, timeout)
		}
		synctest.Wait()
		if n := b.Stats().HandshakesFailed; n != 1 {
			t.Errorf("%d are counted, want 1", n)
		}
	})
	inBubble(t, new(open), func(cfg *broker.Config) { cfg.ConnectTimeout = timeout }, func(t *testing.T, b *started) {
		began := time.Now()
		secure := tls.Client(b.Pipe(l, local), &tls.Config{InsecureSkipVerify: true})
		if err := secure.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		over(t, secure, 5).UntilEnd() // silent after the handshake
		if took := time.Since(began); took != timeout {
			t.Errorf("cut after %v, want %v", took, timeout)
		}
		synctest.Wait()
		if st := b.Stats(); st.HandshakesFailed != 0 || st.ConnectTimeouts != 1 {
			t.Errorf("%d handshakes and %d connections are counted, want 0 and 1", st.HandshakesFailed, st.ConnectTimeouts)
		}
	})
}

func TestKickOverTLS(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t)
	b := start(t, new(open), func(cfg *broker.Config) {
		cfg.Listeners[0].TLS = &broker.TLS{Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
	})
	c, err := dialTLS(t, b, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.connect("c", nil)
	b.Kick(b.Client("c"), packets.ErrAdministrativeAction)
	if code := c.UntilEnd(); code != 0x98 {
		t.Errorf("DISCONNECT %#02x, want 0x98", code)
	}
	eventually(t, "it is gone", func() bool { return b.Stats().Connections == 0 })
}
