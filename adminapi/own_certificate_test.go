package adminapi_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry/ca"
)

// TestUsersRegisterOnlyTheCertificateThatTheyShow is A10 over TLS: a fingerprint is
// known to many.
func TestUsersRegisterOnlyTheCertificateThatTheyShow(t *testing.T) {
	api := apitest.New(t)
	send := api.ServeTLS()
	plant := apitest.NewCA(t, "Plant CA", nil)
	api.Must(http.StatusCreated, "POST", "/api/certificates", apitest.JSON(t, plant.PEM()))
	api.User("bob")
	mallory := api.User("mallory", "readWrite /api/users/#")
	api.Settle()
	bobs, own := plant.Client(t, "bob"), plant.Client(t, "mallory")
	for _, tt := range []struct {
		name      string
		shown, of *tls.Certificate
		want      int
	}{
		{"another user's, by its fingerprint", nil, &bobs, http.StatusForbidden},
		{"another user's, beside their own", &own, &bobs, http.StatusForbidden},
		{"another user's, showing it", &bobs, &bobs, http.StatusConflict},
		{"their own, by its fingerprint", nil, &own, http.StatusForbidden},
		{"their own, showing it", &own, &own, http.StatusCreated},
	} {
		a := send(tt.shown, "POST", "/api/users/"+mallory+"/certificates", `{"fingerprint": "`+ca.Fingerprint(tt.of.Leaf)+`"}`,
			"Content-Type", "application/json", "Authorization", apitest.Basic("mallory", "password-of-mallory"))
		if a.Status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.Status, a.Body, tt.want)
		}
	}
}
