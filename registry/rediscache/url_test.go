package rediscache

import (
	"bytes"
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
	"reflect"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/rediscache/redistest"
)

func TestURL(t *testing.T) {
	tests := []struct {
		url  string
		want target // zero: refused
	}{
		{"redis://cache", target{addrs: []string{"cache:6379"}}},
		{"redis://cache/", target{addrs: []string{"cache:6379"}}},
		{"redis://cache:7000/3", target{addrs: []string{"cache:7000"}, db: 3}},
		{"rediss://cache:7000", target{addrs: []string{"cache:7000"}, tls: true}},
		{"redis://[::1]:7000", target{addrs: []string{"[::1]:7000"}}},
		{"redis://:hunter22@cache", target{addrs: []string{"cache:6379"}, password: "hunter22"}},
		{"redis://me:hunter%2F22@cache", target{addrs: []string{"cache:6379"}, user: "me", password: "hunter/22"}},
		{"redis://me@cache", target{addrs: []string{"cache:6379"}, user: "me"}}, // with a password from elsewhere
		{"redis+sentinel://a,b:7,[::1]/main", target{kind: sentinel, addrs: []string{"a:26379", "b:7", "[::1]:26379"}, master: "main"}},
		{"rediss+sentinel://:hunter22@a,a/main.1/4", target{
			kind: sentinel, addrs: []string{"a:26379"}, master: "main.1", tls: true, password: "hunter22", db: 4,
		}},
		{"redis+cluster://a,b:7000", target{kind: cluster, addrs: []string{"a:6379", "b:7000"}}},
		{"rediss+cluster://me:hunter22@a/", target{kind: cluster, addrs: []string{"a:6379"}, tls: true, user: "me", password: "hunter22"}},
		{"", target{}},
		{"cache:6379", target{}},
		{"hunter22", target{}},
		{"http://cache", target{}},
		{"redis://hunter,b", target{}},
		{"redis+sentinel://hunter", target{}},
		{"redis+sentinel://a,/main", target{}},
		{"redis+sentinel://a/hunter:22", target{}},
		{"redis+sentinel://a/main/hunter", target{}},
		{"redis+sentinel+sentinel://a/main", target{}},
		{"redis+cluster://a,b/0", target{}},
		{"redis+cluster://a:0,b", target{}},
		{"redis://", target{}},
		{"redis:///0", target{}},
		{"redis://:hunter22@cache:0", target{}},
		{"redis://:hunter22@cache:99999", target{}},
		{"redis://:hunter22@cache:port", target{}},
		{"redis://:hunter22@cache/x", target{}},
		{"redis://:hunter22@cache/-1", target{}},
		{"redis://:hunter22@cache/0/1", target{}},
		{"redis://:hunter22@cache?skip_verify=true", target{}},
		{"redis://:hunter22@cache/0?skip_verify=true", target{}},
		{"redis://:hunter22@cache#x", target{}},
		{"redis://:hunter#22@cache", target{}},
		{"redis://:hunter22%zz@cache", target{}},
		{"redis://:hunter22@cache\x00", target{}},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			got, err := parseURL(tt.url)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (err != nil) != (tt.want.addrs == nil) || (ValidateURL(tt.url) != nil) != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter") || !strings.Contains(err.Error(), "rediss://")) {
				t.Errorf("%v: must say what is accepted and not what was given", err)
			}
		})
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	_, err := Open(t.Context(), Config{Connection: Connection{URL: "redis://:hunter22@x?y"}, TTL: 25 * time.Hour, Timeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"redis://", "store id", "sealer", "TTL 25h0m0s", "timeout -1ns"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v: does not name %s", err, part)
		}
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("%v: shows the password", err)
	}
}

func TestPassword(t *testing.T) {
	r := newRig(t)
	if err := r.raw.ConfigSet(t.Context(), "requirepass", "hunter/22").Err(); err != nil {
		t.Fatal(err)
	}
	with := func(credentials string) *rig {
		return r.node(func(c *Config) { c.URL = "redis://" + credentials + r.redis.Addr + "/2" })
	}
	a := r.store.commit(alice())
	for _, credentials := range []string{":hunter%2F22@", "default:hunter%2F22@"} {
		n := with(credentials)
		a = n.change(a)
		n.expect(a, "")
	}
	for _, credentials := range []string{"", ":hunter23@"} {
		n := with(credentials)
		n.expect(a, Unanswered)
		if got := n.log.lines("hunter"); len(got) != 0 {
			t.Errorf("the password is in the log: %q", got)
		}
		if err := n.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("ping: %v", err)
		}
	}
}

func TestTLS(t *testing.T) {
	trusting := func(roots *x509.CertPool, name string) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: name}
	}
	pool, cert, key := certificate(t)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	c := &clock{t: morning}
	r := &rig{t: t, clock: c, store: newStore(c.now), redis: redistest.Start(t,
		"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")}
	r.raw = rawClient(t, r.redis)
	r.join(func(c *Config) { c.URL, c.TLS = "rediss://"+addr, trusting(pool, "") })
	a := r.change(alice())
	r.expect(a, "")

	for _, conf := range []*tls.Config{nil, trusting(x509.NewCertPool(), ""), trusting(pool, "cache")} {
		stranger := r.node(func(c *Config) { c.URL, c.TLS = "rediss://"+addr, conf })
		if err := stranger.Ping(t.Context()); err == nil {
			t.Error("a server that can't prove who it is is believed")
		}
		stranger.expect(a, Skipped)
	}
}

// certificate makes a certificate for 127.0.0.1 and returns a pool that trusts
// it and the files in which it and its key stand.
func certificate(t *testing.T) (pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "redis"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		var b bytes.Buffer
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return pool, write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestConnectionIsMeantInOneWay(t *testing.T) {
	tests := []struct {
		name string
		c    Connection
		want string // part of the error
	}{
		{"a password beside the URL", Connection{URL: "redis://me@cache", Password: "hunter22"}, ""},
		{"two passwords", Connection{URL: "redis://:hunter22@cache", Password: "hunter22"}, "twice"},
		{"a user without a password", Connection{URL: "redis://hunter@cache"}, "needs a password"},
		{"a password for sentinels", Connection{URL: "redis+sentinel://s/main", SentinelPassword: "hunter22"}, ""},
		{"a password for sentinels that are not there", Connection{URL: "redis://cache", SentinelPassword: "hunter22"}, "redis+sentinel://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.c.target()
			if tt.want == "" {
				if err != nil || (got.password != tt.c.Password.Reveal()) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter") {
				t.Errorf("got %v, want an error that says %q and shows nothing", err, tt.want)
			}
		})
	}
}
