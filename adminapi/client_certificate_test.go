package adminapi

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/registry/ca"
)

func TestAClientCertificateIsACredential(t *testing.T) {
	w := newWorld(t, nil)
	send := w.tlsServer()
	plant, foreign := newCA(t, "Plant CA", nil), newCA(t, "Foreign CA", nil)
	w.must(http.StatusCreated, "POST", "/api/certificates", mustJSON(t, plant.pem()))
	w.must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}],
		"permissions": [{"resource": "/api/users/#", "operation": "read", "context": "http"}]}`)
	w.must(http.StatusCreated, "POST", "/api/users", `{"username": "careful", "identityProvider": "local", "password": "password-of-careful",
		"grantTypes": [{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true}]}`)
	w.user("person")
	mine := w.device("gateway")
	w.settle()
	robot, careful, person := plant.client(t, "robot"), plant.client(t, "careful"), plant.client(t, "person")
	nobody, forged := plant.client(t, "nobody"), foreign.client(t, "robot")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	as := func(name string) []string { return []string{"Authorization", basic(name, "password-of-"+name)} }
	for _, tt := range []struct {
		name    string
		shown   *tls.Certificate
		query   string
		headers []string
		want    int
		user    string
	}{
		{"none", nil, "", nil, http.StatusUnauthorized, ""},
		{"one of ours", &mine, "", nil, http.StatusOK, "gateway"},
		{"one of a trusted CA", &robot, "", nil, http.StatusOK, "robot"},
		{"one of a trusted CA, of nobody", &nobody, "", nil, http.StatusUnauthorized, ""},
		{"one of a foreign CA", &forged, "", nil, http.StatusUnauthorized, ""},
		{"of a user who signs in with a password", &person, "", nil, http.StatusUnauthorized, ""},
		{"of a user who needs the password too", &careful, "", nil, http.StatusUnauthorized, ""},
		{"the password alone, of a user who needs both", nil, "", as("careful"), http.StatusForbidden, ""},
		{"both", &careful, "", as("careful"), http.StatusOK, "careful"},
		{"both, with a wrong password", &careful, "", []string{"Authorization", basic("careful", "wrong")}, http.StatusUnauthorized, ""},
		{"the password, and the certificate of another user", &robot, "", as("careful"), http.StatusForbidden, ""},
		{"the password, and our certificate of another user", &mine, "", as("careful"), http.StatusForbidden, ""},
		{"a password that is enough, beside another user's", &mine, "", as("person"), http.StatusOK, "person"},
		{"a wrong password, beside a good certificate", &mine, "", []string{"Authorization", basic("gateway", "wrong")}, http.StatusUnauthorized, ""},
		{"a token, beside a good certificate", &mine, "", bearer(w.admin), http.StatusOK, "admin"},
		{"a wrong token, beside a good certificate", &mine, "", bearer("wrong"), http.StatusUnauthorized, ""},
		{"an unknown scheme, beside a good certificate", &mine, "", []string{"Authorization", "Digest x"}, http.StatusUnauthorized, ""},
		{"a token in the query, beside a good certificate", &mine, "?apiToken=" + w.admin, nil, http.StatusOK, "admin"},
		{"a wrong token in the query, beside a good certificate", &mine, "?apiToken=wrong", nil, http.StatusUnauthorized, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := send(tt.shown, "GET", "/api/session"+tt.query, "", tt.headers...)
			if a.status != tt.want {
				t.Fatalf("got %d %s, want %d", a.status, a.body, tt.want)
			}
			if a.status != http.StatusOK {
				message(t, a, tt.want)
				return
			}
			if user := fields(t, a.body)["user"].(map[string]any)["username"]; user != tt.user {
				t.Errorf("it is %v, want %s", user, tt.user)
			}
		})
	}
	if a := send(&robot, "GET", "/api/users", ""); a.status != http.StatusOK {
		t.Errorf("with the right: got %d %s", a.status, a.body)
	}
	message(t, send(&robot, "POST", "/api/users", `{"username": "new-1", "identityProvider": "local"}`), http.StatusForbidden)
	message(t, send(&mine, "GET", "/api/users", ""), http.StatusForbidden)
}

// A certificate counts for as long as it is registered or its CA is trusted,
// also on a connection that stands.
func TestACertificateThatEnds(t *testing.T) {
	w := newWorld(t, nil)
	send := w.tlsServer()
	plant := newCA(t, "Plant CA", nil)
	w.must(http.StatusCreated, "POST", "/api/certificates", mustJSON(t, plant.pem()))
	w.must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}]}`)
	mine := w.device("gateway")
	robot := plant.client(t, "robot")
	w.settle()
	for _, shown := range []*tls.Certificate{&mine, &robot} {
		if a := send(shown, "GET", "/api/session", ""); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	w.must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(mine.Leaf.SerialNumber)+"/revoke", "")
	w.must(http.StatusOK, "DELETE", "/api/certificates?id="+ca.Fingerprint(plant.cert), "")
	w.settle()
	for _, shown := range []*tls.Certificate{&mine, &robot} {
		message(t, send(shown, "GET", "/api/session", ""), http.StatusUnauthorized)
	}
}

// Browsers send a certificate along with what a foreign page asks of them.
func TestAForeignPageDoesNotUseACertificate(t *testing.T) {
	w := newWorld(t, nil)
	send := w.tlsServer()
	mine := w.device("gateway")
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		m := message(t, send(&mine, "POST", "/api/client-registry/renew", mustJSON(t, map[string]string{"csr": "x"}), headers...), http.StatusForbidden)
		if !strings.Contains(m, "origin") {
			t.Errorf("%v: message is %q", headers, m)
		}
	}
}

func TestCertificatesMayBeSwitchedOff(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.Certificate = nil })
	send := w.tlsServer()
	mine := w.device("gateway")
	message(t, send(&mine, "GET", "/api/session", ""), http.StatusUnauthorized)
}
