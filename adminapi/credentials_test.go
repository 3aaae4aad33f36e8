package adminapi_test

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

func TestWaysToShowACredential(t *testing.T) {
	api := apitest.New(t)
	token := api.Token("alice", "read /api/users")
	for _, tt := range []struct {
		name, query string
		headers     []string
		want        int
	}{
		{"a bearer token", "", []string{"Authorization", "Bearer " + token}, http.StatusOK},
		{"a bearer token, in lower case", "", []string{"Authorization", "bearer " + token}, http.StatusOK},
		{"a name and password", "", []string{"Authorization", apitest.Basic("alice", "password-of-alice")}, http.StatusOK},
		{"a token in the query", "?apiToken=" + token, nil, http.StatusOK},
		{"a token in the query among others", "?rowsPerPage=5&apiToken=" + token + "&pageNumber=1", nil, http.StatusOK},
		{"nothing", "", nil, http.StatusUnauthorized},
		{"an empty token", "", []string{"Authorization", "Bearer "}, http.StatusUnauthorized},
		{"an empty token in the query", "?apiToken=", nil, http.StatusUnauthorized},
		{"a token that is none", "", []string{"Authorization", "Bearer abc"}, http.StatusUnauthorized},
		{"a token with another signature", "", []string{"Authorization", "Bearer " + token[:len(token)-4] + "AAAA"}, http.StatusUnauthorized},
		{"a wrong password", "", []string{"Authorization", apitest.Basic("alice", "wrong")}, http.StatusUnauthorized},
		{"a Basic header that is none", "", []string{"Authorization", "Basic ???"}, http.StatusUnauthorized},
		{"another scheme", "", []string{"Authorization", "Digest abc"}, http.StatusUnauthorized},
		{"a token without a scheme", "", []string{"Authorization", token}, http.StatusUnauthorized},
		{"two headers", "", []string{"Authorization", "Bearer " + token, "Authorization", "Bearer " + token}, http.StatusUnauthorized},
		{"two tokens in the query", "?apiToken=" + token + "&apiToken=" + token, nil, http.StatusUnauthorized},
		{"a bad header beside a good query", "?apiToken=" + token, []string{"Authorization", "Bearer abc"}, http.StatusUnauthorized},
		{"a token that is too long", "", []string{"Authorization", "Bearer " + strings.Repeat("a", 5000)}, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := api.Send("GET", "/api/users"+tt.query, "", tt.headers...)
			if a.Status != tt.want {
				t.Fatalf("got %d %s, want %d", a.Status, a.Body, tt.want)
			}
			if tt.want == http.StatusUnauthorized && a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
			}
		})
	}
	if log := api.Log.String(); strings.Contains(log, token[:20]) || strings.Contains(log, "apiToken") || strings.Contains(log, "password-of-alice") {
		t.Error("a credential or a query is in the log")
	}
}

func TestTokensInTheQueryCanBeSwitchedOff(t *testing.T) {
	api := apitest.New(t, func(cfg *adminapi.Config) { cfg.AllowQueryToken = false })
	apitest.Message(t, api.Send("GET", "/api/session?apiToken="+api.Admin, ""), http.StatusUnauthorized)
	if a := api.Do("GET", "/api/session?apiToken=abc", ""); a.Status != http.StatusOK {
		t.Errorf("beside a header it is not looked at: got %d", a.Status)
	}
}
