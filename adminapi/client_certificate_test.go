package adminapi_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry/ca"
)

func TestAClientCertificateIsACredential(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	plant, foreign := apitest.NewCA(t, "Plant CA", nil), apitest.NewCA(t, "Foreign CA", nil)
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, plant.PEM()))
	api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}],
		"permissions": [{"resource": "/api/users/#", "operation": "read", "context": "http"}]}`)
	api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "careful", "identityProvider": "local", "password": "password-of-careful",
		"grantTypes": [{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true}]}`)
	api.User("person")
	mine := api.Device("gateway")
	api.Settle()
	robot, careful, person := plant.Client(t, "robot"), plant.Client(t, "careful"), plant.Client(t, "person")
	nobody, forged := plant.Client(t, "nobody"), foreign.Client(t, "robot")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	as := func(name string) []string { return []string{"Authorization", apitest.Basic(name, "password-of-"+name)} }
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
		{"both, with a wrong password", &careful, "", []string{"Authorization", apitest.Basic("careful", "wrong")}, http.StatusUnauthorized, ""},
		{"the password, and the certificate of another user", &robot, "", as("careful"), http.StatusForbidden, ""},
		{"the password, and our certificate of another user", &mine, "", as("careful"), http.StatusForbidden, ""},
		{"a password that is enough, beside another user's", &mine, "", as("person"), http.StatusOK, "person"},
		{"a wrong password, beside a good certificate", &mine, "", []string{"Authorization", apitest.Basic("gateway", "wrong")}, http.StatusUnauthorized, ""},
		{"a token, beside a good certificate", &mine, "", bearer(api.Admin), http.StatusOK, "admin"},
		{"a wrong token, beside a good certificate", &mine, "", bearer("wrong"), http.StatusUnauthorized, ""},
		{"an unknown scheme, beside a good certificate", &mine, "", []string{"Authorization", "Digest x"}, http.StatusUnauthorized, ""},
		{"a token in the query, beside a good certificate", &mine, "?apiToken=" + api.Admin, nil, http.StatusOK, "admin"},
		{"a wrong token in the query, beside a good certificate", &mine, "?apiToken=wrong", nil, http.StatusUnauthorized, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := send(tt.shown, "GET", "/api/session"+tt.query, "", tt.headers...)
			if a.Status != tt.want {
				t.Fatalf("got %d %s, want %d", a.Status, a.Body, tt.want)
			}
			if a.Status != http.StatusOK {
				apitest.Message(t, a, tt.want)
				return
			}
			if user := apitest.Fields(t, a.Body)["user"].(map[string]any)["username"]; user != tt.user {
				t.Errorf("it is %v, want %s", user, tt.user)
			}
		})
	}
	if a := send(&robot, "GET", "/api/users", ""); a.Status != http.StatusOK {
		t.Errorf("with the right: got %d %s", a.Status, a.Body)
	}
	apitest.Message(t, send(&robot, "POST", "/api/users", `{"username": "new-1", "identityProvider": "local"}`), http.StatusForbidden)
	apitest.Message(t, send(&mine, "GET", "/api/users", ""), http.StatusForbidden)
}

// A certificate counts for as long as it is registered or its CA is trusted,
// also on a connection that stands.
func TestACertificateThatEnds(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	plant := apitest.NewCA(t, "Plant CA", nil)
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, plant.PEM()))
	api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "robot", "identityProvider": "local", "grantTypes": [{"method": "certificate"}]}`)
	mine := api.Device("gateway")
	robot := plant.Client(t, "robot")
	api.Settle()
	for _, shown := range []*tls.Certificate{&mine, &robot} {
		if a := send(shown, "GET", "/api/session", ""); a.Status != http.StatusOK {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	api.Must(http.StatusOK, "POST", "/api/certificates/issued/"+ca.FormatSerial(mine.Leaf.SerialNumber)+"/revoke", "")
	api.Must(http.StatusOK, "DELETE", "/api/certificates?id="+ca.Fingerprint(plant.Cert), "")
	api.Settle()
	for _, shown := range []*tls.Certificate{&mine, &robot} {
		apitest.Message(t, send(shown, "GET", "/api/session", ""), http.StatusUnauthorized)
	}
}

// Browsers send a certificate along with what a foreign page asks of them.
func TestAForeignPageDoesNotUseACertificate(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	mine := api.Device("gateway")
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		m := apitest.Message(t, send(&mine, "POST", "/api/client-registry/renew", apitest.JSON(t, map[string]string{"csr": "x"}), headers...), http.StatusForbidden)
		if !strings.Contains(m, "origin") {
			t.Errorf("%v: message is %q", headers, m)
		}
	}
}

func TestCertificatesMayBeSwitchedOff(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.Certificate = nil })
	send := api.ServeTLS()
	mine := api.Device("gateway")
	apitest.Message(t, send(&mine, "GET", "/api/session", ""), http.StatusUnauthorized)
}
