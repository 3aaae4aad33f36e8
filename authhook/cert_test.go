package authhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry"
)

func TestCertificatesAreJudgedByWhomeverTheConfigNames(t *testing.T) {
	r := newRig(t, func(s *settings) {
		s.hook.Certificate = func(chain []*x509.Certificate) *registry.Certificate {
			return &registry.Certificate{
				SHA256: fingerprint(chain[0]), CommonName: "gw1", Trusted: true,
				NotBefore: chain[0].NotBefore, NotAfter: chain[0].NotAfter,
			}
		}
	})
	r.user("gw1")
	r.change("gw1", func(rec *account) {
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
	})
	r.dialTLS(certificate(t, "another name", false)).MustConnect(mqtttest.Connect{ClientID: "c"})
}

func TestCertificatesThatNobodyJudgesCountForNothing(t *testing.T) {
	r := newRig(t, func(s *settings) { s.hook.Certificate = nil })
	r.user("gw1")
	cert := certificate(t, "gw1", true)
	r.change("gw1", func(rec *account) {
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
		rec.User.Fingerprints = []registry.Fingerprint{{SHA256: fingerprint(cert.Leaf)}}
	})
	if code := r.dialTLS(cert).Connect(mqtttest.Connect{ClientID: "c"}).ReasonCode; code != 0x86 {
		t.Errorf("CONNACK %#02x, want 0x86", code)
	}
}

// outsider is the organization of certificates that judge does not trust.
const outsider = "outsider"

// judge stands for the trust anchors.
func judge(chain []*x509.Certificate) *registry.Certificate {
	return &registry.Certificate{
		SHA256:     fingerprint(chain[0]),
		CommonName: chain[0].Subject.CommonName,
		Trusted:    !slices.Contains(chain[0].Subject.Organization, outsider),
		NotBefore:  chain[0].NotBefore,
		NotAfter:   chain[0].NotAfter,
	}
}

// certificate returns a certificate of that name, which ends in an hour.
func certificate(tb testing.TB, name string, trusted bool) *tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
	}
	if !trusted {
		template.Subject.Organization = []string{outsider}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

func TestSessionOfAnotherCertificateInheritsOnlyWhatItMayRead(t *testing.T) {
	r := newRig(t, nil)
	r.user("fleet", read("${cert.cn}/#"), read("all"))
	r.user("pub", both("#"))
	var sums []registry.Fingerprint
	var certs []*tls.Certificate
	for _, cn := range []string{"gw1", "gw2"} {
		p := certificate(t, cn, true)
		certs = append(certs, p)
		sums = append(sums, registry.Fingerprint{SHA256: fingerprint(p.Leaf)})
	}
	r.change("fleet", func(rec *account) {
		rec.User.Fingerprints = sums
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
	})
	o := mqtttest.Connect{ClientID: "c", Resume: true, Expiry: 600}
	one := r.dialTLS(certs[0])
	one.MustConnect(o)
	one.MustSubscribe("gw1/#", 1)
	one.MustSubscribe("all", 1)
	one.Close()
	pub := r.connect(5, "pub", "pub")
	r.settle(1, 1)
	pub.Publish("gw1/x", "", 1, false)
	pub.Publish("all", "", 1, false)
	pub.Ping()
	two := r.dialTLS(certs[1])
	two.MustConnect(o)
	two.ExpectMessage("all")
	pub.Publish("gw1/x", "", 1, false)
	two.Ping()
	if n := r.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions, want that to all: the other was inherited", n)
	}
}

// signedInAs ends the test unless the client is signed in as that user.
func (r *rig) signedInAs(c *mqtttest.Client, name string) {
	r.tb.Helper()
	r.grant(name, both("only/"+name))
	c.MustSubscribe("only/"+name, 0)
}

func TestCertificates(t *testing.T) {
	r := newRig(t, nil)
	byCertificate := []registry.GrantType{{Method: registry.MethodCertificate}}
	r.user("gw1", both("#"))
	r.user("gw2", both("#"))
	r.user("gw3", both("#"))
	pinned := certificate(t, "whatever", false)
	for name, sums := range map[string][]registry.Fingerprint{
		"gw1": nil, "gw2": {{SHA256: fingerprint(pinned.Leaf)}},
	} {
		r.change(name, func(rec *account) {
			rec.User.GrantTypes, rec.User.Fingerprints = byCertificate, sums
		})
	}
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		user string // in CONNECT
		want byte
		as   string
	}{
		{"trusted, by its common name", certificate(t, "gw1", true), "", 0, "gw1"},
		{"the same with the name in CONNECT", certificate(t, "gw1", true), "gw1", 0, "gw1"},
		{"trusted, with another name in CONNECT", certificate(t, "gw1", true), "gw3", 0x87, ""},
		{"not trusted", certificate(t, "gw1", false), "", 0x87, ""},
		{"registered, trusted or not", pinned, "", 0, "gw2"},
		{"trusted, but another one is registered", certificate(t, "gw2", true), "", 0x87, ""},
		{"trusted, of a user that signs in otherwise", certificate(t, "gw3", true), "", 0x87, ""},
		{"trusted, of nobody", certificate(t, "nobody", true), "", 0x87, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dialTLS(tt.cert)
			if ack := c.Connect(mqtttest.Connect{ClientID: "c" + tt.as, Username: tt.user}); ack.ReasonCode != tt.want {
				t.Fatalf("CONNACK %#02x, want %#02x", ack.ReasonCode, tt.want)
			}
			if tt.as != "" {
				r.signedInAs(c, tt.as)
			}
		})
	}
}

// TestACertificateOfAnotherUserBesideAPassword is A14 over MQTT.
func TestACertificateOfAnotherUserBesideAPassword(t *testing.T) {
	r := newRig(t, nil)
	r.user("bob")
	r.user("mallory")
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		want byte
	}{
		{"it names another user", certificate(t, "bob", true), 0x87},
		{"it names nobody", certificate(t, "stranger", true), 0},
		{"nobody vouches for it", certificate(t, "bob", false), 0},
		{"it names the same user", certificate(t, "mallory", true), 0},
	} {
		if ack := r.dialTLS(tt.cert).Connect(as("mallory", "c")); ack.ReasonCode != tt.want {
			t.Errorf("%s: CONNACK %#02x, want %#02x", tt.name, ack.ReasonCode, tt.want)
		}
	}
}
