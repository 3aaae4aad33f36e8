package v1_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry/ca"
)

func TestTrustedCertificates(t *testing.T) {
	api := apitest.New(t)
	one, two, three := apitest.NewCA(t, "Plant CA", nil), apitest.NewCA(t, "Other CA", nil), apitest.NewCA(t, "Third CA", nil)
	send := func(media, body string) apitest.Answer {
		return api.Send("POST", "/api/certificates", body, "Authorization", "Bearer "+api.Admin, "Content-Type", media)
	}
	if a := api.Must(http.StatusOK, "GET", "/api/certificates", ""); strings.TrimSpace(a.Body) != "[]" {
		t.Errorf("got %s", a.Body)
	}
	a := send("application/x-pem-file", one.PEM())
	got := apitest.Fields(t, a.Body)
	want(t, "as a PEM file", a, http.StatusCreated, map[string]any{
		"id": ca.Fingerprint(one.Cert), "subject": "CN=Plant CA", "issuer": "CN=Plant CA", "serialNumber": "07",
		"notBefore": got["notBefore"], "notAfter": got["notAfter"], "createdAt": got["createdAt"],
	})
	if a.Header.Get("X-Change") == "" {
		t.Error("there is no receipt")
	}
	if a := send("text/plain; charset=utf-8", two.PEM()); a.Status != http.StatusCreated {
		t.Errorf("as text: got %d %s", a.Status, a.Body)
	}
	if a := send("application/json", apitest.JSON(t, "our third one:\n"+three.PEM())); a.Status != http.StatusCreated {
		t.Errorf("as JSON: got %d %s", a.Status, a.Body)
	}
	apitest.Message(t, send("text/plain", one.PEM()), http.StatusConflict)

	var list []map[string]any
	api.Must(http.StatusOK, "GET", "/api/certificates", "").Decode(t, &list)
	if len(list) != 3 {
		t.Errorf("got %v", list)
	}
	id := ca.Fingerprint(one.Cert)
	var content string
	a = api.Must(http.StatusOK, "GET", "/api/certificates/content?id="+id, "")
	a.Decode(t, &content)
	if content != one.PEM() || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v %s", a.Header, a.Body)
	}
	a = api.Must(http.StatusOK, "DELETE", "/api/certificates?id="+id, "")
	if a.Header.Get("X-Change") == "" || a.Body != "" {
		t.Errorf("got %v %s", a.Header, a.Body)
	}
	for _, endpoint := range []string{"DELETE /api/certificates?id=" + id, "GET /api/certificates/content?id=" + id} {
		method, path, _ := strings.Cut(endpoint, " ")
		apitest.Message(t, api.Do(method, path, ""), http.StatusNotFound)
	}
	for _, query := range []string{"", "?id=", "?id=" + strings.Repeat("a", 65), "?id=" + id + "&id=" + ca.Fingerprint(two.Cert)} {
		apitest.Message(t, api.Do("DELETE", "/api/certificates"+query, ""), http.StatusBadRequest)
		apitest.Message(t, api.Do("GET", "/api/certificates/content"+query, ""), http.StatusBadRequest)
	}
	api.Must(http.StatusOK, "GET", "/api/certificates", "").Decode(t, &list)
	if len(list) != 2 {
		t.Errorf("got %v", list)
	}
}

func TestSeveralCertificatesAtOnce(t *testing.T) {
	api := apitest.New(t)
	one, two := apitest.NewCA(t, "Plant CA", nil), apitest.NewCA(t, "Other CA", nil)
	var added []map[string]any
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, one.PEM()+two.PEM())).Decode(t, &added)
	if len(added) != 2 || added[0]["subject"] != "CN=Plant CA" || added[1]["subject"] != "CN=Other CA" {
		t.Errorf("got %v", added)
	}
	three := apitest.NewCA(t, "Third CA", nil)
	apitest.Message(t, api.Do("POST", "/api/certificates", apitest.JSON(t, three.PEM()+one.PEM())), http.StatusConflict)
	var list []map[string]any
	api.Must(http.StatusOK, "GET", "/api/certificates", "").Decode(t, &list)
	if len(list) != 2 {
		t.Errorf("half of a request was taken: %v", list)
	}
}

func TestCertificatesThatAreNotTrusted(t *testing.T) {
	api := apitest.New(t)
	send := func(body string, headers ...string) apitest.Answer {
		return api.Send("POST", "/api/certificates", body, append(headers, "Authorization", "Bearer "+api.Admin)...)
	}
	plant := apitest.NewCA(t, "Plant CA", nil)
	for _, tt := range []struct{ name, body string }{
		{"garbage", "garbage"},
		{"an empty text", " "},
		{"damaged PEM", strings.Replace(plant.PEM(), "MII", "M!I", 1)},
		{"a good one and a damaged one", plant.PEM() + strings.Replace(plant.PEM(), "MII", "M!I", 1)},
		{"PEM of garbage", string(apitest.PEM("CERTIFICATE", []byte("garbage")))},
		{"a private key", string(apitest.PEM("PRIVATE KEY", []byte("garbage")))},
		{"no CA", string(apitest.PEM("CERTIFICATE", plant.Client(t, "robot").Leaf.Raw))},
		{"an expired CA", apitest.NewCA(t, "Old CA", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).PEM()},
		{"a CA of tomorrow", apitest.NewCA(t, "New CA", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }).PEM()},
		{"not UTF-8", "\xff\xfe"},
		{"NUL", plant.PEM() + "\x00"},
		{"too long", strings.Repeat(" ", ca.MaxTrustPEM) + plant.PEM()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			apitest.Message(t, send(tt.body, "Content-Type", "application/x-pem-file"), http.StatusBadRequest)
		})
	}
	for _, body := range []string{`{"certificate": "x"}`, `["x"]`, `null`, `"x`, ``, apitest.JSON(t, string(apitest.PEM("CERTIFICATE", []byte{0x30})))} {
		apitest.Message(t, send(body, "Content-Type", "application/json"), http.StatusBadRequest)
	}
	for _, media := range []string{"application/octet-stream", "application/x-x509-ca-cert", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		m := apitest.Message(t, send(plant.PEM(), "Content-Type", media), http.StatusUnsupportedMediaType)
		if !strings.Contains(m, "application/x-pem-file") {
			t.Errorf("%s: message is %q", media, m)
		}
	}
	apitest.Message(t, send(plant.PEM()), http.StatusUnsupportedMediaType)
	apitest.Message(t, send(plant.PEM(), "Content-Type", "text/plain", "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	apitest.Message(t, send(strings.Repeat(" ", 1<<20+1), "Content-Type", "text/plain"), http.StatusRequestEntityTooLarge)
	apitest.Message(t, api.Send("POST", "/api/client-registry/open", "{}", "Authorization", "Bearer "+api.Admin, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	chain := api.Send("GET", "/pki/ca.pem", "").Body
	apitest.Message(t, send(chain, "Content-Type", "text/plain"), http.StatusConflict)
	if a := api.Must(http.StatusOK, "GET", "/api/certificates", ""); strings.TrimSpace(a.Body) != "[]" {
		t.Errorf("one of them is trusted: %s", a.Body)
	}
}

// Rule 8: a right on the path is not enough to say who is trusted.
func TestTrustNeedsAllRights(t *testing.T) {
	api := apitest.New(t)
	plant := apitest.NewCA(t, "Plant CA", nil)
	operator := api.Token("operator", "readWrite /api/#")
	apitest.Message(t, api.As(operator, "POST", "/api/certificates", apitest.JSON(t, plant.PEM())), http.StatusForbidden)
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, plant.PEM()))
	id := ca.Fingerprint(plant.Cert)
	apitest.Message(t, api.As(operator, "DELETE", "/api/certificates?id="+id, ""), http.StatusForbidden)
	if a := api.As(operator, "GET", "/api/certificates/content?id="+id, ""); a.Status != http.StatusOK {
		t.Errorf("got %d %s", a.Status, a.Body)
	}
}

func TestIssuedCertificates(t *testing.T) {
	api := apitest.New(t)
	one, two := api.Device("gateway-1"), api.Device("gateway-2")
	serial := func(c *x509.Certificate) string { return ca.FormatSerial(c.SerialNumber) }
	list := func(query string, total int) []map[string]any {
		t.Helper()
		var page struct {
			Certificates []map[string]any
			Pagination   struct{ PageNumber, RowsPerPage, TotalRows, TotalPages int }
		}
		api.Must(http.StatusOK, "GET", "/api/certificates/issued"+query, "").Decode(t, &page)
		if page.Certificates == nil || page.Pagination.TotalRows != total {
			t.Errorf("%s: got %+v", query, page)
		}
		return page.Certificates
	}
	all := list("", 2)
	if len(all) != 2 {
		t.Fatalf("got %v", all)
	}
	if diff := cmp.Diff(map[string]any{
		"serialNumber": serial(one.Leaf), "fingerprint": ca.Fingerprint(one.Leaf), "generation": float64(1),
		"userId": all[0]["userId"], "username": "gateway-1", "notBefore": all[0]["notBefore"], "notAfter": all[0]["notAfter"],
		"issuedAt": all[0]["issuedAt"], "revokedAt": nil,
	}, all[0]); diff != "" {
		t.Error(diff)
	}
	if got := list("?rowsPerPage=1&pageNumber=2", 2); len(got) != 1 || got[0]["username"] != "gateway-2" {
		t.Errorf("got %v", got)
	}
	if got := list("?username[eq]=gateway-1", 1); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	if got := list("?username[eq]=gateway", 0); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	for _, query := range []string{"?rowsPerPage=101", "?rowsPerPage=0", "?pageNumber=0", "?pageNumber=x"} {
		apitest.Message(t, api.Do("GET", "/api/certificates/issued"+query, ""), http.StatusBadRequest)
	}

	revoke := func(which, body string) apitest.Answer {
		return api.Do("POST", "/api/certificates/issued/"+which+"/revoke", body)
	}
	for _, bad := range []string{`{"reason": "because"}`, `{"reason": 1}`, `{"why": "keyCompromise"}`, `[]`} {
		apitest.Message(t, revoke(serial(one.Leaf), bad), http.StatusBadRequest)
	}
	apitest.Message(t, revoke("00ff", ""), http.StatusNotFound)
	apitest.Message(t, revoke("nonsense", ""), http.StatusNotFound)
	apitest.Message(t, revoke(strings.Repeat("a", 129), ""), http.StatusBadRequest)
	a := revoke(serial(one.Leaf), `{"reason": "keyCompromise"}`)
	if a.Status != http.StatusOK || a.Header.Get("X-Change") == "" || a.Body != "" {
		t.Errorf("got %d %v %s", a.Status, a.Header, a.Body)
	}
	apitest.Message(t, revoke(serial(one.Leaf), ""), http.StatusConflict)
	if a := revoke(ca.Fingerprint(two.Leaf), "{}"); a.Status != http.StatusOK {
		t.Errorf("by the fingerprint: got %d %s", a.Status, a.Body)
	}
	for i, reason := range []string{"keyCompromise", "unspecified"} {
		if got := list("", 2)[i]; got["reason"] != reason || got["revokedAt"] == nil {
			t.Errorf("got %v, want %s", got, reason)
		}
	}
	var user struct{ Certificates []any }
	api.Must(http.StatusOK, "GET", fmt.Sprintf("/api/users/%s", all[0]["userId"]), "").DecodeLoosely(t, &user)
	if len(user.Certificates) != 0 {
		t.Errorf("the user has it still: %v", user)
	}
}

// Who may not change a user may not take its certificate.
func TestRevocationIsNoLadder(t *testing.T) {
	api := apitest.New(t)
	operator := api.Token("operator", "readWrite /api/certificates/#")
	device := api.Device("gateway")
	user := apitest.Fields(t, api.Must(http.StatusOK, "GET", "/api/listUsers?username[eq]=gateway", "").Body)["users"].([]any)[0].(map[string]any)["id"].(string)
	api.Must(http.StatusCreated, "POST", "/api/users/"+user+"/roles", `{"roleId": "`+api.RoleID("minimum-access")+`"}`)
	path := "/api/certificates/issued/" + ca.FormatSerial(device.Leaf.SerialNumber) + "/revoke"
	apitest.Message(t, api.As(operator, "POST", path, ""), http.StatusForbidden)
	api.Must(http.StatusOK, "POST", path, "")
}

// PEM comes in the forms that tools and editors write, and what is something else is
// told how to send it.
func TestFormsOfCACertificates(t *testing.T) {
	api := apitest.New(t)
	const text, js = "text/plain", "application/json"
	pem := func(name string) string { return apitest.NewCA(t, name, nil).PEM() }
	for _, tt := range []struct{ name, media, body, want string }{ // want: what is wrong
		{"a byte order mark", text, "\ufeff" + pem("one"), ""},
		{"a byte order mark before JSON", js, "\ufeff" + apitest.JSON(t, pem("two")), ""},
		{"a byte order mark in JSON", js, apitest.JSON(t, "\ufeff"+pem("three")), ""},
		{"PEM as JSON", js, pem("four"), "body: is PEM, not JSON: send it as Content-Type application/x-pem-file or text/plain"},
		{"DER", text, "\x30\x82\x01\xff\xfe", "body: is DER: convert it to PEM"},
		{"UTF-16", text, "\xff\xfe-\x00", "body: must be text in UTF-8"},
		{"another type", "application/pkix-cert", "x", "Content-Type: must be application/x-pem-file, text/plain, application/json"},
	} {
		a := api.Send("POST", "/api/certificates", tt.body, "Content-Type", tt.media, "Authorization", "Bearer "+api.Admin)
		if tt.want == "" && a.Status != http.StatusCreated || tt.want != "" && (a.Status/100 != 4 || !strings.Contains(a.Body, tt.want)) {
			t.Errorf("%s: got %d %s, want %q", tt.name, a.Status, a.Body, tt.want)
		}
	}
}
