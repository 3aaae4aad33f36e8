package adminapi

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// chain returns the chain of the authority, as anybody gets it.
func (w *world) chain() []*x509.Certificate {
	w.Helper()
	a := w.send("GET", "/pki/ca.pem", "")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-pem-file" {
		w.Fatalf("got %d %v", a.status, a.header)
	}
	return parse(w, a.body)
}

func TestTheChainIsPublic(t *testing.T) {
	w := newWorld(t, nil)
	chain := w.chain()
	if len(chain) < 2 {
		t.Fatalf("the chain has %d certificates", len(chain))
	}
	for i, c := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(c); err != nil {
			t.Error(err)
		}
	}
	if device := w.device("gateway"); device.Leaf.CheckSignatureFrom(chain[0]) != nil {
		t.Error("the first of the chain does not issue")
	}
}

func TestWhatIsPublicMayBeCached(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/pki/ca.pem", "/pki/crl", "/pki/crl/1"} {
		a := w.send("GET", path, "")
		tag := a.header.Get("Etag")
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=60" || tag == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v", path, a.status, a.header)
		}
		if a := w.send("GET", path, "", "If-None-Match", tag); a.status != http.StatusNotModified || a.body != "" {
			t.Errorf("%s: got %d %q", path, a.status, a.body)
		}
		if a := w.send("HEAD", path, ""); a.status != http.StatusOK || a.body != "" || a.header.Get("Etag") != tag {
			t.Errorf("%s: got %d %v", path, a.status, a.header)
		}
		a = w.send("POST", path, "")
		message(t, a, http.StatusMethodNotAllowed)
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a failure may be cached: %v", path, a.header)
		}
	}
}

func TestRevocationLists(t *testing.T) {
	w := newWorld(t, nil)
	chain, device := w.chain(), w.device("gateway")
	list := func(path string) *x509.RevocationList {
		t.Helper()
		a := w.send("GET", path, "")
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/pkix-crl" {
			t.Fatalf("%s: got %d %v", path, a.status, a.header)
		}
		l, err := x509.ParseRevocationList([]byte(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CheckSignatureFrom(chain[0]); err != nil {
			t.Error(err)
		}
		return l
	}
	w.must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(device.Leaf.SerialNumber)+"/revoke", `{"reason": "keyCompromise"}`)
	for _, path := range []string{"/pki/crl", "/pki/crl/1"} {
		l := list(path)
		if len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(device.Leaf.SerialNumber) != 0 ||
			l.RevokedCertificateEntries[0].ReasonCode != 1 || !l.NextUpdate.After(time.Now()) {
			t.Errorf("%s: got %+v", path, l.RevokedCertificateEntries)
		}
	}
	for _, generation := range []string{"0", "2", "-1", "one", "01x", "99999999999999999999"} {
		message(t, w.send("GET", "/pki/crl/"+generation, ""), http.StatusNotFound)
	}
}

func TestOCSP(t *testing.T) {
	w := newWorld(t, nil)
	issuer, device := w.chain()[0], w.device("gateway")
	question, err := ocsp.CreateRequest(device.Leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(question)
	for _, tt := range []struct {
		name string
		ask  func() answer
	}{
		{"posted", func() answer {
			return w.send("POST", "/pki/ocsp", string(question), "Content-Type", "application/ocsp-request")
		}},
		{"in the path", func() answer { return w.send("GET", "/pki/ocsp/"+url.PathEscape(encoded), "") }},
		{"in the path, all encoded", func() answer { return w.send("GET", "/pki/ocsp/"+url.QueryEscape(encoded), "") }},
		{"in the path, as it is", func() answer { return w.send("GET", "/pki/ocsp/"+encoded, "") }},
		{"in the path, without padding", func() answer {
			return w.send("GET", "/pki/ocsp/"+base64.RawURLEncoding.EncodeToString(question), "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.ask()
			if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/ocsp-response" {
				t.Fatalf("got %d %v %s", a.status, a.header, a.body)
			}
			r, err := ocsp.ParseResponseForCert([]byte(a.body), device.Leaf, issuer)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != ocsp.Good {
				t.Errorf("got status %d", r.Status)
			}
			wantCache := "public, max-age=60"
			if tt.name == "posted" {
				wantCache = "no-store"
			}
			if got := a.header.Get("Cache-Control"); got != wantCache {
				t.Errorf("Cache-Control is %q, want %q", got, wantCache)
			}
		})
	}
	w.must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(device.Leaf.SerialNumber)+"/revoke", `{"reason": "superseded"}`)
	a := w.send("GET", "/pki/ocsp/"+encoded, "")
	if r, err := ocsp.ParseResponseForCert([]byte(a.body), device.Leaf, issuer); err != nil || r.Status != ocsp.Revoked || r.RevocationReason != ocsp.Superseded {
		t.Errorf("got %+v, %v", r, err)
	}
	if strings.Contains(w.log.String(), encoded[:20]) {
		t.Error("a question is in the log")
	}
}

// The slash of base64 is what the guard of paths refuses. Each number must come
// through, whatever its base64.
func TestOCSPQuestionsWithEverySlash(t *testing.T) {
	w := newWorld(t, nil)
	issuer := w.chain()[0]
	slashes := 0
	for serial := int64(0x3F3F3F00); serial < 0x3F3F3F08; serial++ {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(serial)}
		question, err := ocsp.CreateRequest(leaf, issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		encoded := base64.StdEncoding.EncodeToString(append(question, 0xFF, 0xFF, 0xFF)) // "////" at its end
		slashes += strings.Count(encoded, "//")
		for _, path := range []string{encoded, url.PathEscape(encoded)} {
			a := w.send("GET", "/pki/ocsp/"+path, "")
			if a.status != http.StatusOK || !bytes.Equal([]byte(a.body), ocsp.MalformedRequestErrorResponse) || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got %d %v %q", path, a.status, a.header, a.body)
			}
		}
	}
	if slashes == 0 {
		t.Error("no question has slashes")
	}
}

func TestOCSPQuestionsThatAreNone(t *testing.T) {
	w := newWorld(t, nil)
	const media = "application/ocsp-request"
	other := newCA(t, "Other CA", nil)
	foreign, err := ocsp.CreateRequest(other.client(t, "robot").Leaf, other.cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	post := func(body string, headers ...string) answer { return w.send("POST", "/pki/ocsp", body, headers...) }
	for _, tt := range []struct {
		name, body string
		want       []byte
	}{
		{"garbage", "garbage", ocsp.MalformedRequestErrorResponse},
		{"nothing", "", ocsp.MalformedRequestErrorResponse},
		{"just small enough", strings.Repeat("x", ca.MaxOCSPRequest), ocsp.MalformedRequestErrorResponse},
		{"about another CA", string(foreign), ocsp.UnauthorizedErrorResponse},
	} {
		a := post(tt.body, "Content-Type", media)
		if a.status != http.StatusOK || !bytes.Equal([]byte(a.body), tt.want) || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %v %q", tt.name, a.status, a.header, a.body)
		}
	}
	message(t, post(strings.Repeat("x", ca.MaxOCSPRequest+1), "Content-Type", media), http.StatusRequestEntityTooLarge)
	message(t, post("x"), http.StatusUnsupportedMediaType)
	message(t, post("x", "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	for _, path := range []string{"!", "a", "%2e%2e", "%2F..%2Fapi", "../../api/users", "%00", strings.Repeat("A", 6000)} {
		message(t, w.send("GET", "/pki/ocsp/"+path, ""), http.StatusBadRequest)
	}
	message(t, w.send("GET", "/pki/ocsp", ""), http.StatusMethodNotAllowed)
}

// broken is an authority that can't look, or is not there.
type broken struct {
	*registry.Service
	response []byte
	err      error
}

func (b broken) OCSP(context.Context, []byte) ([]byte, error) { return b.response, b.err }

func TestAnAuthorityThatCanNotAnswer(t *testing.T) {
	authority := &broken{response: ocsp.TryLaterErrorResponse, err: errors.New("disk: secret-path is full")}
	w := newWorld(t, func(cfg *Config) {
		authority.Service = cfg.Service.(*registry.Service)
		cfg.Service = authority
	})
	a := w.send("POST", "/pki/ocsp", "x", "Content-Type", "application/ocsp-request")
	if a.status != http.StatusOK || !bytes.Equal([]byte(a.body), ocsp.TryLaterErrorResponse) {
		t.Errorf("got %d %q", a.status, a.body)
	}
	if !strings.Contains(w.log.String(), "secret-path") {
		t.Error("the log does not tell why")
	}
	authority.response, authority.err = nil, registry.Errorf(registry.NotFound, "", "there is no certificate authority here")
	message(t, w.send("POST", "/pki/ocsp", "x", "Content-Type", "application/ocsp-request"), http.StatusNotFound)
	message(t, w.send("GET", "/pki/ocsp/MAA", ""), http.StatusNotFound)
}
