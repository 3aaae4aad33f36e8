package v1_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry/ca"
)

func TestTheLadderWithACertificateRequest(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	key := apitest.NewKey(t)
	request := func(csr string) string {
		return apitest.JSON(t, map[string]string{"username": "gateway", "csr": csr, "context": "line 4"})
	}
	mine := request(apitest.CSR(t, key, "gateway"))
	if a := api.Register(mine); a.Status != http.StatusAccepted || strings.Contains(a.Body, "certificate") {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	if pending(t, api)[0]["hasCsr"] != true {
		t.Error("the list does not tell that it asks for a certificate")
	}
	theirs := request(apitest.CSR(t, apitest.NewKey(t), "gateway"))
	apitest.Message(t, api.Register(theirs), http.StatusConflict)
	apitest.Message(t, api.Register(wish("gateway", deviceSecret)), http.StatusConflict)
	user := apitest.Fields(t, api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`).Body)
	if diff := cmp.Diff([]any{map[string]any{"method": "certificate", "isRequired": false}}, user["grantTypes"]); diff != "" {
		t.Error(diff)
	}
	apitest.Message(t, api.Register(theirs), http.StatusConflict)

	a := api.Register(mine)
	var granted struct{ Status, Username, Certificate, CACertificates string }
	a.Decode(t, &granted)
	if a.Status != http.StatusCreated || granted.Status != "granted" || granted.Username != "gateway" {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	leaf, chain := apitest.ParsePEM(t, granted.Certificate)[0], apitest.ParsePEM(t, granted.CACertificates)
	if leaf.Subject.CommonName != "gateway" || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Errorf("the certificate is of %s, with another key or not", leaf.Subject)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[:len(chain)-1] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Error(err)
	}
	shown := user["certificates"].([]any)[0].(map[string]any)
	if shown["fingerprint"] != ca.Fingerprint(leaf) {
		t.Errorf("the user has the certificate %v", shown)
	}
	again := api.Register(mine) // the first answer may have been lost
	if diff := cmp.Diff(apitest.Fields(t, a.Body), apitest.Fields(t, again.Body)); again.Status != http.StatusCreated || diff != "" {
		t.Errorf("again: got %d %s", again.Status, diff)
	}
}

func TestBadCertificateRequests(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	key := apitest.NewKey(t)
	good := apitest.CSR(t, key, "gateway")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	basicConstraints, err := asn1.Marshal(struct {
		IsCA bool `asn1:"optional"`
	}{true})
	if err != nil {
		t.Fatal(err)
	}
	named := func(tmpl x509.CertificateRequest) string {
		tmpl.Subject = pkix.Name{CommonName: "gateway"}
		return apitest.CSRLike(t, key, tmpl)
	}
	for _, tt := range []struct{ name, csr string }{
		{"garbage", "garbage"},
		{"wrong base64", good[:len(good)-2] + "!!"},
		{"base64 of garbage", base64.StdEncoding.EncodeToString([]byte("garbage"))},
		{"PEM of garbage", string(apitest.PEM("CERTIFICATE REQUEST", []byte("garbage")))},
		{"PEM of another kind", base64.StdEncoding.EncodeToString(apitest.PEM("CERTIFICATE", []byte("garbage")))},
		{"half a request", good[:len(good)/2/4*4]},
		{"an altered request", base64.StdEncoding.EncodeToString(altered(t, plain))},
		{"no common name", apitest.CSR(t, key, "")},
		{"another common name", apitest.CSR(t, key, "admin")},
		{"another case", apitest.CSR(t, key, "Gateway")},
		{"a weak key", apitest.CSR(t, weak, "gateway")},
		{"a CA", named(x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: basicConstraints}}})},
		{"a foreign DNS name", named(x509.CertificateRequest{DNSNames: []string{"admin"}})},
		{"a foreign e-mail address", named(x509.CertificateRequest{EmailAddresses: []string{"admin@example.com"}})},
		{"too long", strings.Repeat("A", ca.MaxRequest+4)},
		{"as long as a body may be", strings.Repeat("A", 64<<10-200)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := api.Register(apitest.JSON(t, map[string]string{"username": "gateway", "csr": tt.csr, "context": "x"}))
			if m := apitest.Message(t, a, http.StatusBadRequest); !strings.Contains(m, "csr") || len(m) > 1000 {
				t.Errorf("message is %.1200q", m)
			}
		})
	}
	apitest.Message(t, api.Register(`{"username": "gateway", "context": "x", "csr": "`+strings.Repeat("A", 1<<20)+`"}`), http.StatusRequestEntityTooLarge)
	if len(pending(t, api)) != 0 {
		t.Error("one of them waits")
	}
}

// altered returns a PEM request with a bit of its signature turned.
func altered(t *testing.T, plain []byte) []byte {
	t.Helper()
	text := strings.Split(strings.TrimSpace(string(plain)), "\n")
	der, err := base64.StdEncoding.DecodeString(strings.Join(text[1:len(text)-1], ""))
	if err != nil {
		t.Fatal(err)
	}
	der[len(der)-1] ^= 1
	return apitest.PEM("CERTIFICATE REQUEST", der)
}

func TestRenewal(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	old := api.Device("gateway")
	const renew = "/api/client-registry/renew"
	key := apitest.NewKey(t)
	body := apitest.JSON(t, map[string]string{"csr": apitest.CSR(t, key, "gateway")})

	apitest.Message(t, send(nil, "POST", renew, body), http.StatusUnauthorized)
	apitest.Message(t, send(&old, "POST", renew, body, "Authorization", "Bearer "+api.Admin), http.StatusForbidden)
	for name, bad := range map[string]string{
		"garbage":     apitest.JSON(t, map[string]string{"csr": "garbage"}),
		"other name":  apitest.JSON(t, map[string]string{"csr": apitest.CSR(t, key, "admin")}),
		"without csr": "{}",
		"empty":       `{"csr": ""}`,
	} {
		if m := apitest.Message(t, send(&old, "POST", renew, bad), http.StatusBadRequest); !strings.Contains(m, "csr") {
			t.Errorf("%s: message is %q", name, m)
		}
	}
	apitest.Message(t, send(&old, "POST", renew, body, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)

	a := send(&old, "POST", renew, body)
	var got struct{ Certificate, CACertificates string }
	a.Decode(t, &got)
	if a.Status != http.StatusCreated || a.Header.Get("X-Change") == "" {
		t.Fatalf("got %d %v %s", a.Status, a.Header, a.Body)
	}
	next := apitest.Pair(t, got.Certificate, key)
	if next.Leaf.Subject.CommonName != "gateway" || len(apitest.ParsePEM(t, got.CACertificates)) == 0 {
		t.Errorf("got %s", a.Body)
	}
	api.Settle()
	for name, shown := range map[string]*tls.Certificate{"old": &old, "new": &next} {
		if a := send(shown, "GET", "/api/session", ""); a.Status != http.StatusOK {
			t.Errorf("the %s certificate: got %d %s", name, a.Status, a.Body)
		}
	}
	if _, err := api.PKI.RecordUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	var session struct {
		User struct {
			Certificates []struct {
				Fingerprint string
				ExpiresAt   time.Time
				LastUsedAt  *time.Time
			}
		}
	}
	send(&next, "GET", "/api/session", "").DecodeLoosely(t, &session)
	if len(session.User.Certificates) != 2 {
		t.Fatalf("got %+v", session)
	}
	for _, c := range session.User.Certificates {
		if c.LastUsedAt == nil || time.Since(*c.LastUsedAt) > time.Hour {
			t.Errorf("%s was last used %v", c.Fingerprint, c.LastUsedAt)
		}
		if ends := time.Until(c.ExpiresAt); (ends < 25*time.Hour) != (c.Fingerprint == ca.Fingerprint(old.Leaf)) {
			t.Errorf("%s ends in %v", c.Fingerprint, ends)
		}
	}
}

// Who is no user of a certificate of ours renews none.
func TestRenewalIsForOurOwnCertificates(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	plant := apitest.NewCA(t, "Plant CA", nil)
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, plant.PEM()))
	api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}]}`)
	api.Settle()
	robot := plant.Client(t, "robot")
	if a := send(&robot, "GET", "/api/session", ""); a.Status != http.StatusOK {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	body := apitest.JSON(t, map[string]string{"csr": apitest.CSR(t, apitest.NewKey(t), "robot")})
	apitest.Message(t, send(&robot, "POST", "/api/client-registry/renew", body), http.StatusForbidden)
	apitest.Message(t, api.Do("POST", "/api/client-registry/renew", body), http.StatusForbidden)
	if !strings.Contains(api.Log.String(), "user=robot") {
		t.Error("the log does not tell who it was")
	}
}
