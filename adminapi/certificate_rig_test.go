package adminapi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// csr returns a certificate request for a name as devices send it: the base64 of
// PEM.
func csr(t testing.TB, key crypto.Signer, name string) string {
	t.Helper()
	return requestOf(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: name}})
}

func requestOf(t testing.TB, key crypto.Signer, tmpl x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pemOf("CERTIFICATE REQUEST", der))
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// parse reads the certificates of a PEM text.
func parse(t testing.TB, text string) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for rest := []byte(text); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatalf("not PEM: %q", text)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// outsideCA is an authority that is not ours.
type outsideCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCA makes an authority; change, which may be nil, spoils it.
func newCA(t testing.TB, name string, change func(*x509.Certificate)) outsideCA {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), SubjectKeyId: []byte(name),
	}
	if change != nil {
		change(tmpl)
	}
	key := newKey(t)
	return outsideCA{certificate(t, tmpl, tmpl, &key.PublicKey, key), key}
}

func (c outsideCA) pem() string { return string(pemOf("CERTIFICATE", c.cert.Raw)) }

// client issues a client certificate.
func (c outsideCA) client(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
	}, c.cert, &key.PublicKey, c.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func certificate(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// device makes a user by registering with a certificate request, and returns
// what it got.
func (w *world) device(name string) tls.Certificate {
	w.Helper()
	w.must(http.StatusNoContent, "POST", "/api/client-registry/open", "")
	key := newKey(w)
	body := mustJSON(w, map[string]string{"username": name, "csr": csr(w, key, name), "context": "a test"})
	if a := w.register(body); a.status != http.StatusAccepted {
		w.Fatalf("register %s: got %d %s", name, a.status, a.body)
	}
	w.must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "`+name+`"}`)
	w.settle()
	a := w.register(body)
	var granted struct{ Certificate, CACertificates string }
	a.decodeLoosely(w, &granted)
	if a.status != http.StatusCreated || granted.Certificate == "" {
		w.Fatalf("register %s: got %d %s", name, a.status, a.body)
	}
	return pair(w, granted.Certificate, key)
}

// pair joins a certificate with its key.
func pair(t testing.TB, text string, key crypto.PrivateKey) tls.Certificate {
	t.Helper()
	c := parse(t, text)[0]
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// tlsServer serves the world over TLS that asks for client certificates, and
// returns a function that sends a request to it. No connection is used twice.
func (w *world) tlsServer() func(shown *tls.Certificate, method, target, body string, headers ...string) answer {
	w.Helper()
	srv := httptest.NewUnstartedServer(w.handler)
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	w.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return func(shown *tls.Certificate, method, target, body string, headers ...string) answer {
		w.Helper()
		cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if shown != nil {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
		}
		r, err := http.NewRequestWithContext(w.Context(), method, srv.URL+target, strings.NewReader(body))
		if err != nil {
			w.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := (&http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			w.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			w.Fatal(err)
		}
		return answer{res.StatusCode, res.Header, string(b)}
	}
}
