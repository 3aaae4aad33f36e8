package apitest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// Register sends a registration as a device does: without a credential.
func (a *API) Register(body string, headers ...string) Answer {
	return a.Send("POST", "/api/client-registry/register", body, append(headers, "Content-Type", "application/json")...)
}

// Device makes a user by registering with a certificate request, and returns what
// it got.
func (a *API) Device(name string) tls.Certificate {
	a.t.Helper()
	a.Must(http.StatusNoContent, "POST", "/api/client-registry/open", "")
	key := NewKey(a.t)
	body := JSON(a.t, map[string]string{"username": name, "csr": CSR(a.t, key, name), "context": "a test"})
	if got := a.Register(body); got.Status != http.StatusAccepted {
		a.t.Fatalf("register %s: got %d %s", name, got.Status, got.Body)
	}
	a.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "`+name+`"}`)
	a.Settle()
	got := a.Register(body)
	var granted struct{ Certificate, CACertificates string }
	got.DecodeLoosely(a.t, &granted)
	if got.Status != http.StatusCreated || granted.Certificate == "" {
		a.t.Fatalf("register %s: got %d %s", name, got.Status, got.Body)
	}
	return Pair(a.t, granted.Certificate, key)
}

// SendTLS sends a request over TLS with the client certificate that is shown, nil
// for none.
type SendTLS func(shown *tls.Certificate, method, target, body string, headers ...string) Answer

// ServeTLS serves the API over TLS that asks for client certificates, and returns
// a function that sends a request to it. No connection is used twice.
func (a *API) ServeTLS() SendTLS {
	a.t.Helper()
	srv := httptest.NewUnstartedServer(a.Handler)
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	a.t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return func(shown *tls.Certificate, method, target, body string, headers ...string) Answer {
		a.t.Helper()
		cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if shown != nil {
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
		}
		r, err := http.NewRequestWithContext(a.t.Context(), method, srv.URL+target, strings.NewReader(body))
		if err != nil {
			a.t.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		for pair := range slices.Chunk(headers, 2) {
			r.Header.Set(pair[0], pair[1])
		}
		return a.roundTrip(&http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}, r)
	}
}

func (a *API) roundTrip(transport http.RoundTripper, r *http.Request) Answer {
	a.t.Helper()
	res, err := transport.RoundTrip(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return Answer{res.StatusCode, res.Header, string(body)}
}
