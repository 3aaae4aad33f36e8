package adminapi

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/registry/ca"
)

func TestTrustedCertificates(t *testing.T) {
	w := newWorld(t, nil)
	one, two, three := newCA(t, "Plant CA", nil), newCA(t, "Other CA", nil), newCA(t, "Third CA", nil)
	send := func(media, body string) answer {
		return w.send("POST", "/api/certificates", body, "Authorization", "Bearer "+w.admin, "Content-Type", media)
	}
	if a := w.must(http.StatusOK, "GET", "/api/certificates", ""); strings.TrimSpace(a.body) != "[]" {
		t.Errorf("got %s", a.body)
	}
	a := send("application/x-pem-file", one.pem())
	got := fields(t, a.body)
	want(t, "as a PEM file", a, http.StatusCreated, map[string]any{
		"id": ca.Fingerprint(one.cert), "subject": "CN=Plant CA", "issuer": "CN=Plant CA", "serialNumber": "07",
		"notBefore": got["notBefore"], "notAfter": got["notAfter"], "createdAt": got["createdAt"],
	})
	if a.header.Get("X-Change") == "" {
		t.Error("there is no receipt")
	}
	if a := send("text/plain; charset=utf-8", two.pem()); a.status != http.StatusCreated {
		t.Errorf("as text: got %d %s", a.status, a.body)
	}
	if a := send("application/json", mustJSON(t, "our third one:\n"+three.pem())); a.status != http.StatusCreated {
		t.Errorf("as JSON: got %d %s", a.status, a.body)
	}
	message(t, send("text/plain", one.pem()), http.StatusConflict)

	var list []map[string]any
	w.must(http.StatusOK, "GET", "/api/certificates", "").decode(t, &list)
	if len(list) != 3 {
		t.Errorf("got %v", list)
	}
	id := ca.Fingerprint(one.cert)
	var content string
	a = w.must(http.StatusOK, "GET", "/api/certificates/content?id="+id, "")
	a.decode(t, &content)
	if content != one.pem() || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v %s", a.header, a.body)
	}
	a = w.must(http.StatusOK, "DELETE", "/api/certificates?id="+id, "")
	if a.header.Get("X-Change") == "" || a.body != "" {
		t.Errorf("got %v %s", a.header, a.body)
	}
	for _, endpoint := range []string{"DELETE /api/certificates?id=" + id, "GET /api/certificates/content?id=" + id} {
		method, path, _ := strings.Cut(endpoint, " ")
		message(t, w.do(method, path, ""), http.StatusNotFound)
	}
	for _, query := range []string{"", "?id=", "?id=" + strings.Repeat("a", 65), "?id=" + id + "&id=" + ca.Fingerprint(two.cert)} {
		message(t, w.do("DELETE", "/api/certificates"+query, ""), http.StatusBadRequest)
		message(t, w.do("GET", "/api/certificates/content"+query, ""), http.StatusBadRequest)
	}
	w.must(http.StatusOK, "GET", "/api/certificates", "").decode(t, &list)
	if len(list) != 2 {
		t.Errorf("got %v", list)
	}
}

func TestSeveralCertificatesAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	one, two := newCA(t, "Plant CA", nil), newCA(t, "Other CA", nil)
	var added []map[string]any
	w.must(http.StatusCreated, "POST", "/api/certificates", mustJSON(t, one.pem()+two.pem())).decode(t, &added)
	if len(added) != 2 || added[0]["subject"] != "CN=Plant CA" || added[1]["subject"] != "CN=Other CA" {
		t.Errorf("got %v", added)
	}
	three := newCA(t, "Third CA", nil)
	message(t, w.do("POST", "/api/certificates", mustJSON(t, three.pem()+one.pem())), http.StatusConflict)
	var list []map[string]any
	w.must(http.StatusOK, "GET", "/api/certificates", "").decode(t, &list)
	if len(list) != 2 {
		t.Errorf("half of a request was taken: %v", list)
	}
}

func TestCertificatesThatAreNotTrusted(t *testing.T) {
	w := newWorld(t, nil)
	send := func(body string, headers ...string) answer {
		return w.send("POST", "/api/certificates", body, append(headers, "Authorization", "Bearer "+w.admin)...)
	}
	plant := newCA(t, "Plant CA", nil)
	for _, tt := range []struct{ name, body string }{
		{"garbage", "garbage"},
		{"an empty text", " "},
		{"damaged PEM", strings.Replace(plant.pem(), "MII", "M!I", 1)},
		{"a good one and a damaged one", plant.pem() + strings.Replace(plant.pem(), "MII", "M!I", 1)},
		{"PEM of garbage", string(pemOf("CERTIFICATE", []byte("garbage")))},
		{"a private key", string(pemOf("PRIVATE KEY", []byte("garbage")))},
		{"no CA", string(pemOf("CERTIFICATE", plant.client(t, "robot").Leaf.Raw))},
		{"an expired CA", newCA(t, "Old CA", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).pem()},
		{"a CA of tomorrow", newCA(t, "New CA", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }).pem()},
		{"not UTF-8", "\xff\xfe"},
		{"NUL", plant.pem() + "\x00"},
		{"too long", strings.Repeat(" ", ca.MaxTrustPEM) + plant.pem()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			message(t, send(tt.body, "Content-Type", "application/x-pem-file"), http.StatusBadRequest)
		})
	}
	for _, body := range []string{`{"certificate": "x"}`, `["x"]`, `null`, `"x`, ``, mustJSON(t, string(pemOf("CERTIFICATE", []byte{0x30})))} {
		message(t, send(body, "Content-Type", "application/json"), http.StatusBadRequest)
	}
	for _, media := range []string{"application/octet-stream", "application/x-x509-ca-cert", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		m := message(t, send(plant.pem(), "Content-Type", media), http.StatusUnsupportedMediaType)
		if !strings.Contains(m, "application/x-pem-file") {
			t.Errorf("%s: message is %q", media, m)
		}
	}
	message(t, send(plant.pem()), http.StatusUnsupportedMediaType)
	message(t, send(plant.pem(), "Content-Type", "text/plain", "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	message(t, send(strings.Repeat(" ", 1<<20+1), "Content-Type", "text/plain"), http.StatusRequestEntityTooLarge)
	message(t, w.send("POST", "/api/client-registry/open", "{}", "Authorization", "Bearer "+w.admin, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	chain := w.send("GET", "/pki/ca.pem", "").body
	message(t, send(chain, "Content-Type", "text/plain"), http.StatusConflict)
	if a := w.must(http.StatusOK, "GET", "/api/certificates", ""); strings.TrimSpace(a.body) != "[]" {
		t.Errorf("one of them is trusted: %s", a.body)
	}
}

// Rule 8: a right on the path is not enough to say who is trusted.
func TestTrustNeedsAllRights(t *testing.T) {
	w := newWorld(t, nil)
	plant := newCA(t, "Plant CA", nil)
	operator := w.token("operator", "readWrite /api/#")
	message(t, w.as(operator, "POST", "/api/certificates", mustJSON(t, plant.pem())), http.StatusForbidden)
	w.must(http.StatusCreated, "POST", "/api/certificates", mustJSON(t, plant.pem()))
	id := ca.Fingerprint(plant.cert)
	message(t, w.as(operator, "DELETE", "/api/certificates?id="+id, ""), http.StatusForbidden)
	if a := w.as(operator, "GET", "/api/certificates/content?id="+id, ""); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestIssuedCertificates(t *testing.T) {
	w := newWorld(t, nil)
	one, two := w.device("gateway-1"), w.device("gateway-2")
	serial := func(c *x509.Certificate) string { return ca.FormatSerial(c.SerialNumber) }
	list := func(query string, total int) []map[string]any {
		t.Helper()
		var page struct {
			Certificates []map[string]any
			Pagination   struct{ PageNumber, RowsPerPage, TotalRows, TotalPages int }
		}
		w.must(http.StatusOK, "GET", "/api/certificates/issued"+query, "").decode(t, &page)
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
		message(t, w.do("GET", "/api/certificates/issued"+query, ""), http.StatusBadRequest)
	}

	revoke := func(which, body string) answer {
		return w.do("POST", "/api/certificates/issued/"+which+"/revoke", body)
	}
	for _, bad := range []string{`{"reason": "because"}`, `{"reason": 1}`, `{"why": "keyCompromise"}`, `[]`} {
		message(t, revoke(serial(one.Leaf), bad), http.StatusBadRequest)
	}
	message(t, revoke("00ff", ""), http.StatusNotFound)
	message(t, revoke("nonsense", ""), http.StatusNotFound)
	message(t, revoke(strings.Repeat("a", 129), ""), http.StatusBadRequest)
	a := revoke(serial(one.Leaf), `{"reason": "keyCompromise"}`)
	if a.status != http.StatusOK || a.header.Get("X-Change") == "" || a.body != "" {
		t.Errorf("got %d %v %s", a.status, a.header, a.body)
	}
	message(t, revoke(serial(one.Leaf), ""), http.StatusConflict)
	if a := revoke(ca.Fingerprint(two.Leaf), "{}"); a.status != http.StatusOK {
		t.Errorf("by the fingerprint: got %d %s", a.status, a.body)
	}
	for i, reason := range []string{"keyCompromise", "unspecified"} {
		if got := list("", 2)[i]; got["reason"] != reason || got["revokedAt"] == nil {
			t.Errorf("got %v, want %s", got, reason)
		}
	}
	var user struct{ Certificates []any }
	w.must(http.StatusOK, "GET", fmt.Sprintf("/api/users/%s", all[0]["userId"]), "").decodeLoosely(t, &user)
	if len(user.Certificates) != 0 {
		t.Errorf("the user has it still: %v", user)
	}
}

// Who may not change a user may not take its certificate.
func TestRevocationIsNoLadder(t *testing.T) {
	w := newWorld(t, nil)
	operator := w.token("operator", "readWrite /api/certificates/#")
	device := w.device("gateway")
	user := fields(t, w.must(http.StatusOK, "GET", "/api/listUsers?username[eq]=gateway", "").body)["users"].([]any)[0].(map[string]any)["id"].(string)
	w.must(http.StatusCreated, "POST", "/api/users/"+user+"/roles", `{"roleId": "`+w.roleID("minimum-access")+`"}`)
	path := "/api/certificates/issued/" + ca.FormatSerial(device.Leaf.SerialNumber) + "/revoke"
	message(t, w.as(operator, "POST", path, ""), http.StatusForbidden)
	w.must(http.StatusOK, "POST", path, "")
}
