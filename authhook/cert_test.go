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
	r.change("gw1", func(rec *registry.Record) {
		rec.User.GrantTypes = []registry.GrantType{{Method: registry.MethodCertificate}}
	})
	r.dialTLS(certificate(t, "another name", false)).MustConnect(mqtttest.Connect{ClientID: "c"})
}

func TestCertificatesThatNobodyJudgesCountForNothing(t *testing.T) {
	r := newRig(t, func(s *settings) { s.hook.Certificate = nil })
	r.user("gw1")
	cert := certificate(t, "gw1", true)
	r.change("gw1", func(rec *registry.Record) {
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
