package pki_test

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

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// chain returns the chain of the authority, as anybody gets it.
func chain(t testing.TB, api *apitest.API) []*x509.Certificate {
	t.Helper()
	a := api.Send("GET", "/pki/ca.pem", "")
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/x-pem-file" {
		t.Fatalf("got %d %v", a.Status, a.Header)
	}
	return apitest.ParsePEM(t, a.Body)
}

func TestTheChainIsPublic(t *testing.T) {
	api := apitest.New(t)
	all := chain(t, api)
	if len(all) < 2 {
		t.Fatalf("the chain has %d certificates", len(all))
	}
	for i, c := range all[1:] {
		if err := all[i].CheckSignatureFrom(c); err != nil {
			t.Error(err)
		}
	}
	if device := api.Device("gateway"); device.Leaf.CheckSignatureFrom(all[0]) != nil {
		t.Error("the first of the chain does not issue")
	}
}

func TestWhatIsPublicMayBeCached(t *testing.T) {
	api := apitest.New(t)
	for _, path := range []string{"/pki/ca.pem", "/pki/crl", "/pki/crl/1"} {
		a := api.Send("GET", path, "")
		tag := a.Header.Get("Etag")
		if a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "public, max-age=60" || tag == "" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %v", path, a.Status, a.Header)
		}
		if a := api.Send("GET", path, "", "If-None-Match", tag); a.Status != http.StatusNotModified || a.Body != "" {
			t.Errorf("%s: got %d %q", path, a.Status, a.Body)
		}
		if a := api.Send("HEAD", path, ""); a.Status != http.StatusOK || a.Body != "" || a.Header.Get("Etag") != tag {
			t.Errorf("%s: got %d %v", path, a.Status, a.Header)
		}
		a = api.Send("POST", path, "")
		apitest.Message(t, a, http.StatusMethodNotAllowed)
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a failure may be cached: %v", path, a.Header)
		}
	}
}

func TestRevocationLists(t *testing.T) {
	api := apitest.New(t)
	issuer, device := chain(t, api)[0], api.Device("gateway")
	list := func(path string) *x509.RevocationList {
		t.Helper()
		a := api.Send("GET", path, "")
		if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/pkix-crl" {
			t.Fatalf("%s: got %d %v", path, a.Status, a.Header)
		}
		l, err := x509.ParseRevocationList([]byte(a.Body))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CheckSignatureFrom(issuer); err != nil {
			t.Error(err)
		}
		return l
	}
	api.Must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(device.Leaf.SerialNumber)+"/revoke", `{"reason": "keyCompromise"}`)
	for _, path := range []string{"/pki/crl", "/pki/crl/1"} {
		l := list(path)
		if len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(device.Leaf.SerialNumber) != 0 ||
			l.RevokedCertificateEntries[0].ReasonCode != 1 || !l.NextUpdate.After(time.Now()) {
			t.Errorf("%s: got %+v", path, l.RevokedCertificateEntries)
		}
	}
	for _, generation := range []string{"0", "2", "-1", "one", "01x", "99999999999999999999"} {
		apitest.Message(t, api.Send("GET", "/pki/crl/"+generation, ""), http.StatusNotFound)
	}
}

func TestOCSP(t *testing.T) {
	api := apitest.New(t)
	issuer, device := chain(t, api)[0], api.Device("gateway")
	question, err := ocsp.CreateRequest(device.Leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(question)
	for _, tt := range []struct {
		name string
		ask  func() apitest.Answer
	}{
		{"posted", func() apitest.Answer {
			return api.Send("POST", "/pki/ocsp", string(question), "Content-Type", "application/ocsp-request")
		}},
		{"in the path", func() apitest.Answer { return api.Send("GET", "/pki/ocsp/"+url.PathEscape(encoded), "") }},
		{"in the path, all encoded", func() apitest.Answer { return api.Send("GET", "/pki/ocsp/"+url.QueryEscape(encoded), "") }},
		{"in the path, as it is", func() apitest.Answer { return api.Send("GET", "/pki/ocsp/"+encoded, "") }},
		{"in the path, without padding", func() apitest.Answer {
			return api.Send("GET", "/pki/ocsp/"+base64.RawURLEncoding.EncodeToString(question), "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.ask()
			if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/ocsp-response" {
				t.Fatalf("got %d %v %s", a.Status, a.Header, a.Body)
			}
			r, err := ocsp.ParseResponseForCert([]byte(a.Body), device.Leaf, issuer)
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
			if got := a.Header.Get("Cache-Control"); got != wantCache {
				t.Errorf("Cache-Control is %q, want %q", got, wantCache)
			}
		})
	}
	api.Must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(device.Leaf.SerialNumber)+"/revoke", `{"reason": "superseded"}`)
	a := api.Send("GET", "/pki/ocsp/"+encoded, "")
	if r, err := ocsp.ParseResponseForCert([]byte(a.Body), device.Leaf, issuer); err != nil || r.Status != ocsp.Revoked || r.RevocationReason != ocsp.Superseded {
		t.Errorf("got %+v, %v", r, err)
	}
	if strings.Contains(api.Log.String(), encoded[:20]) {
		t.Error("a question is in the log")
	}
}

// The slash of base64 is what the check of paths refuses. Each number must come
// through, whatever its base64.
func TestOCSPQuestionsWithEverySlash(t *testing.T) {
	api := apitest.New(t)
	issuer := chain(t, api)[0]
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
			a := api.Send("GET", "/pki/ocsp/"+path, "")
			if a.Status != http.StatusOK || !bytes.Equal([]byte(a.Body), ocsp.MalformedRequestErrorResponse) || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: got %d %v %q", path, a.Status, a.Header, a.Body)
			}
		}
	}
	if slashes == 0 {
		t.Error("no question has slashes")
	}
}

func TestOCSPQuestionsThatAreNone(t *testing.T) {
	api := apitest.New(t)
	const media = "application/ocsp-request"
	other := apitest.NewCA(t, "Other CA", nil)
	foreign, err := ocsp.CreateRequest(other.Client(t, "robot").Leaf, other.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	post := func(body string, headers ...string) apitest.Answer {
		return api.Send("POST", "/pki/ocsp", body, headers...)
	}
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
		if a.Status != http.StatusOK || !bytes.Equal([]byte(a.Body), tt.want) || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %v %q", tt.name, a.Status, a.Header, a.Body)
		}
	}
	apitest.Message(t, post(strings.Repeat("x", ca.MaxOCSPRequest+1), "Content-Type", media), http.StatusRequestEntityTooLarge)
	apitest.Message(t, post("x"), http.StatusUnsupportedMediaType)
	apitest.Message(t, post("x", "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	for _, path := range []string{"!", "a", "%2e%2e", "%2F..%2Fapi", "../../api/users", "%00", strings.Repeat("A", 6000)} {
		apitest.Message(t, api.Send("GET", "/pki/ocsp/"+path, ""), http.StatusBadRequest)
	}
	apitest.Message(t, api.Send("GET", "/pki/ocsp", ""), http.StatusMethodNotAllowed)
}

// broken is an authority that can't look, or is not there.
type broken struct {
	adminapi.Certificates
	response []byte
	err      error
}

func (b broken) OCSP(context.Context, []byte) ([]byte, error) { return b.response, b.err }

func TestAnAuthorityThatCanNotAnswer(t *testing.T) {
	authority := &broken{response: ocsp.TryLaterErrorResponse, err: errors.New("disk: secret-path is full")}
	api := apitest.New(t, func(cfg *adminapi.Config) {
		authority.Certificates = cfg.Certificates
		cfg.Certificates = authority
	})
	a := api.Send("POST", "/pki/ocsp", "x", "Content-Type", "application/ocsp-request")
	if a.Status != http.StatusOK || !bytes.Equal([]byte(a.Body), ocsp.TryLaterErrorResponse) {
		t.Errorf("got %d %q", a.Status, a.Body)
	}
	if !strings.Contains(api.Log.String(), "secret-path") {
		t.Error("the log does not tell why")
	}
	authority.response, authority.err = nil, registry.Errorf(registry.NotFound, "", "there is no certificate authority here")
	apitest.Message(t, api.Send("POST", "/pki/ocsp", "x", "Content-Type", "application/ocsp-request"), http.StatusNotFound)
	apitest.Message(t, api.Send("GET", "/pki/ocsp/MAA", ""), http.StatusNotFound)
}
