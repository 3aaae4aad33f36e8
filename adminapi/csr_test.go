package adminapi

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

	"mqttwarden/registry/ca"
)

func TestTheLadderWithACertificateRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	key := newKey(t)
	request := func(csr string) string {
		return mustJSON(t, map[string]string{"username": "gateway", "csr": csr, "context": "line 4"})
	}
	mine := request(csr(t, key, "gateway"))
	if a := w.register(mine); a.status != http.StatusAccepted || strings.Contains(a.body, "certificate") {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if w.pending()[0]["hasCsr"] != true {
		t.Error("the list does not tell that it asks for a certificate")
	}
	theirs := request(csr(t, newKey(t), "gateway"))
	message(t, w.register(theirs), http.StatusConflict)
	message(t, w.register(wish("gateway", deviceSecret)), http.StatusConflict)
	user := fields(t, w.must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`).body)
	if diff := cmp.Diff([]any{map[string]any{"method": "certificate", "isRequired": false}}, user["grantTypes"]); diff != "" {
		t.Error(diff)
	}
	message(t, w.register(theirs), http.StatusConflict)

	a := w.register(mine)
	var granted struct{ Status, Username, Certificate, CACertificates string }
	a.decode(t, &granted)
	if a.status != http.StatusCreated || granted.Status != "granted" || granted.Username != "gateway" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	leaf, chain := parse(t, granted.Certificate)[0], parse(t, granted.CACertificates)
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
	again := w.register(mine) // the first answer may have been lost
	if diff := cmp.Diff(fields(t, a.body), fields(t, again.body)); again.status != http.StatusCreated || diff != "" {
		t.Errorf("again: got %d %s", again.status, diff)
	}
}

func TestBadCertificateRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	key := newKey(t)
	good := csr(t, key, "gateway")
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
		return requestOf(t, key, tmpl)
	}
	for _, tt := range []struct{ name, csr string }{
		{"garbage", "garbage"},
		{"wrong base64", good[:len(good)-2] + "!!"},
		{"base64 of garbage", base64.StdEncoding.EncodeToString([]byte("garbage"))},
		{"PEM of garbage", string(pemOf("CERTIFICATE REQUEST", []byte("garbage")))},
		{"PEM of another kind", base64.StdEncoding.EncodeToString(pemOf("CERTIFICATE", []byte("garbage")))},
		{"half a request", good[:len(good)/2/4*4]},
		{"an altered request", base64.StdEncoding.EncodeToString(altered(t, plain))},
		{"no common name", csr(t, key, "")},
		{"another common name", csr(t, key, "admin")},
		{"another case", csr(t, key, "Gateway")},
		{"a weak key", csr(t, weak, "gateway")},
		{"a CA", named(x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: basicConstraints}}})},
		{"a foreign DNS name", named(x509.CertificateRequest{DNSNames: []string{"admin"}})},
		{"a foreign e-mail address", named(x509.CertificateRequest{EmailAddresses: []string{"admin@example.com"}})},
		{"too long", strings.Repeat("A", ca.MaxRequest+4)},
		{"as long as a body may be", strings.Repeat("A", 1<<20-200)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.register(mustJSON(t, map[string]string{"username": "gateway", "csr": tt.csr, "context": "x"}))
			if m := message(t, a, http.StatusBadRequest); !strings.Contains(m, "csr") || len(m) > 1000 {
				t.Errorf("message is %.1200q", m)
			}
		})
	}
	message(t, w.register(`{"username": "gateway", "context": "x", "csr": "`+strings.Repeat("A", 1<<20)+`"}`), http.StatusRequestEntityTooLarge)
	if len(w.pending()) != 0 {
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
	return pemOf("CERTIFICATE REQUEST", der)
}

func TestRenewal(t *testing.T) {
	w := newWorld(t, nil)
	send := w.tlsServer()
	old := w.device("gateway")
	const renew = "/api/client-registry/renew"
	key := newKey(t)
	body := mustJSON(t, map[string]string{"csr": csr(t, key, "gateway")})

	message(t, send(nil, "POST", renew, body), http.StatusUnauthorized)
	message(t, send(&old, "POST", renew, body, "Authorization", "Bearer "+w.admin), http.StatusForbidden)
	for name, bad := range map[string]string{
		"garbage":     mustJSON(t, map[string]string{"csr": "garbage"}),
		"other name":  mustJSON(t, map[string]string{"csr": csr(t, key, "admin")}),
		"without csr": "{}",
		"empty":       `{"csr": ""}`,
	} {
		if m := message(t, send(&old, "POST", renew, bad), http.StatusBadRequest); !strings.Contains(m, "csr") {
			t.Errorf("%s: message is %q", name, m)
		}
	}
	message(t, send(&old, "POST", renew, body, "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)

	a := send(&old, "POST", renew, body)
	var got struct{ Certificate, CACertificates string }
	a.decode(t, &got)
	if a.status != http.StatusCreated || a.header.Get("X-Change") == "" {
		t.Fatalf("got %d %v %s", a.status, a.header, a.body)
	}
	next := pair(t, got.Certificate, key)
	if next.Leaf.Subject.CommonName != "gateway" || len(parse(t, got.CACertificates)) == 0 {
		t.Errorf("got %s", a.body)
	}
	w.settle()
	for name, shown := range map[string]*tls.Certificate{"old": &old, "new": &next} {
		if a := send(shown, "GET", "/api/session", ""); a.status != http.StatusOK {
			t.Errorf("the %s certificate: got %d %s", name, a.status, a.body)
		}
	}
	if _, err := w.service.RecordUses(t.Context()); err != nil {
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
	send(&next, "GET", "/api/session", "").decodeLoosely(t, &session)
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
	w := newWorld(t, nil)
	send := w.tlsServer()
	plant := newCA(t, "Plant CA", nil)
	w.must(http.StatusCreated, "POST", "/api/certificates", mustJSON(t, plant.pem()))
	w.must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}]}`)
	w.settle()
	robot := plant.client(t, "robot")
	if a := send(&robot, "GET", "/api/session", ""); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	body := mustJSON(t, map[string]string{"csr": csr(t, newKey(t), "robot")})
	message(t, send(&robot, "POST", "/api/client-registry/renew", body), http.StatusForbidden)
	message(t, w.do("POST", "/api/client-registry/renew", body), http.StatusForbidden)
	if !strings.Contains(w.log.String(), "user=robot") {
		t.Error("the log does not tell who it was")
	}
}
