package adminapi_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

// witness is a follower that notes which change was waited for last, and how long that
// might have taken.
type witness struct {
	adminapi.Follower

	mu      sync.Mutex
	change  uint64
	longest time.Duration
}

// WaitEnforced implements adminapi.Follower.
func (w *witness) WaitEnforced(ctx context.Context, n uint64) error {
	deadline, _ := ctx.Deadline()
	w.mu.Lock()
	w.change, w.longest = n, time.Until(deadline).Round(time.Second)
	w.mu.Unlock()
	return w.Follower.WaitEnforced(ctx, n)
}

// forgotten returns what was noted and forgets it.
func (w *witness) forgotten() (change uint64, longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change, longest = w.change, w.longest
	w.change, w.longest = 0, 0
	return change, longest
}

// caller is somebody who calls routes once each, and wants each change to be in force
// when it is answered.
type caller struct {
	*apitest.API

	t       *testing.T
	witness *witness
	send    apitest.SendTLS
	shown   *tls.Certificate // over TLS
	called  map[string]bool
}

// changes calls a route that changes what is decided; path fills its parameters in.
func (c *caller) changes(status int, endpoint, path, body string) apitest.Answer {
	c.t.Helper()
	a := c.call(status, endpoint, path, body)
	waited, longest := c.witness.forgotten()
	if n, _ := strconv.ParseUint(a.Header.Get("X-Change"), 10, 64); n == 0 || n != waited || longest != time.Second || a.Header.Get("X-Change-Enforced") != "" {
		c.t.Errorf("%s: change %q was answered, %d waited for, for %v", endpoint, a.Header.Get("X-Change"), waited, longest)
	}
	return a
}

// changesNothing calls a route that changes nothing that a decision could depend on.
func (c *caller) changesNothing(status int, endpoint, path, body string) apitest.Answer {
	c.t.Helper()
	a := c.call(status, endpoint, path, body)
	if waited, _ := c.witness.forgotten(); waited != 0 || a.Header.Get("X-Change") != "" {
		c.t.Errorf("%s: change %q was answered, %d waited for", endpoint, a.Header.Get("X-Change"), waited)
	}
	return a
}

func (c *caller) call(status int, endpoint, path, body string) apitest.Answer {
	c.t.Helper()
	c.called[endpoint] = true
	method, _, _ := strings.Cut(endpoint, " ")
	var a apitest.Answer
	if c.shown != nil {
		a = c.send(c.shown, method, path, body)
	} else {
		a = c.Do(method, path, body)
	}
	if a.Status != status {
		c.t.Fatalf("%s: %d %s", endpoint, a.Status, a.Body)
	}
	return a
}

// Every route that changes something is called once, by somebody who says nothing of
// when they want to be answered.
func TestEveryChangeIsInForceWhenItIsAnswered(t *testing.T) {
	w := &witness{}
	api := apitest.New(t, func(cfg *adminapi.Config) {
		w.Follower = cfg.Follower
		cfg.Follower = w
	})
	c := &caller{API: api, t: t, witness: w, send: api.ServeTLS(), called: make(map[string]bool)}
	api.Settle()
	const ok, created, none = http.StatusOK, http.StatusCreated, http.StatusNoContent

	user := "/api/users/" + apitest.ID(t, c.changes(created, "POST /api/users", "/api/users", `{"username": "alice", "identityProvider": "local", "password": "secret-of-alice"}`))
	c.changes(ok, "PUT /api/users/{id}", user, `{"mqttPublishPrefix": "a/"}`)
	certificate := `{"fingerprint": "` + strings.Repeat("ab", 32) + `"}`
	c.changes(created, "POST /api/users/{id}/certificates", user+"/certificates", certificate)
	c.changes(ok, "DELETE /api/users/{id}/certificates", user+"/certificates", certificate)
	c.changes(created, "POST /api/users/{id}/csr", user+"/csr", `{"csr": "`+apitest.CSR(t, apitest.NewKey(t), "alice")+`"}`)
	role := apitest.ID(t, c.changes(created, "POST /api/roles", "/api/roles", `{"name": "ops", "isShared": true}`))
	c.changes(ok, "PUT /api/roles/{id}", "/api/roles/"+role, `{"name": "operators"}`)
	added := c.changes(created, "POST /api/roles/{id}/permissions", "/api/roles/"+role+"/permissions", `{"resource": "a", "operation": "read", "context": "mqtt"}`)
	permission := added.Header.Get("Location")
	c.changes(created, "POST /api/users/{id}/roles", user+"/roles", `{"roleId": "`+role+`"}`)
	c.changes(ok, "PUT /api/roles/{id}/permissions/{pemId}", permission, `{"operation": "write"}`)
	c.changes(ok, "DELETE /api/roles/{id}/permissions/{pemId}", permission, "")
	c.changes(ok, "DELETE /api/users/{id}/roles", user+"/roles", `{"roleId": "`+role+`"}`)
	c.changes(ok, "DELETE /api/roles/{id}", "/api/roles/"+role, "")

	login := c.changesNothing(ok, "POST /api/login", "/api/login", `{"username": "alice", "password": "secret-of-alice"}`)
	c.changes(ok, "POST /api/logout", "/api/logout", `{"token": "`+apitest.Fields(t, login.Body)["token"].(string)+`"}`)
	api.Login("alice", "secret-of-alice")
	c.changes(ok, "DELETE /api/users/{id}/tokens", user+"/tokens", "")
	c.changes(ok, "DELETE /api/users/{id}", user, "")

	c.changes(none, "POST /api/client-registry/open", "/api/client-registry/open", "")
	key := apitest.NewKey(t)
	ask := apitest.JSON(t, map[string]string{"username": "device", "csr": apitest.CSR(t, key, "device"), "context": "a test"})
	c.changesNothing(http.StatusAccepted, "POST /api/client-registry/register", "/api/client-registry/register", ask)
	c.changes(created, "POST /api/client-registry/confirm", "/api/client-registry/confirm", `{"username": "device"}`)
	got := c.changesNothing(created, "POST /api/client-registry/register", "/api/client-registry/register", ask)
	device := apitest.Pair(t, apitest.Fields(t, got.Body)["certificate"].(string), key)
	c.shown = &device
	c.changes(created, "POST /api/client-registry/renew", "/api/client-registry/renew", `{"csr": "`+apitest.CSR(t, key, "device")+`"}`)
	c.shown = nil
	api.Register(`{"username": "other", "password": "secret-of-other", "context": "a test"}`)
	c.changesNothing(none, "POST /api/client-registry/deny", "/api/client-registry/deny", `{"username": "other"}`)
	c.changes(none, "POST /api/client-registry/lock", "/api/client-registry/lock", "")

	anchor := apitest.ID(t, c.changes(created, "POST /api/certificates", "/api/certificates", apitest.JSON(t, apitest.NewCA(t, "plant", nil).PEM())))
	c.changes(ok, "DELETE /api/certificates", "/api/certificates?id="+anchor, "")
	c.changes(ok, "POST /api/certificates/issued/{serial}/revoke", "/api/certificates/issued/"+device.Leaf.SerialNumber.Text(16)+"/revoke", "")

	api.Clients.All = []v1.Client{{ID: "gw", User: registry.UserID(api.User("owner"))}} // the broker's as well
	api.Settle()
	w.forgotten()
	c.changesNothing(none, "DELETE /api/clients/{clientId}", "/api/clients/gw", "")
	c.changesNothing(none, "DELETE /api/clients", "/api/clients?clientId=gw", "")
	c.changesNothing(ok, "DELETE /api/retained", "/api/retained?filter=a", "") // the broker's, and at once
	c.changes(none, "PUT /api/users/change-password", "/api/users/change-password", `{"password": "`+apitest.AdminPassword+`", "newPassword": "new-password"}`)

	for _, r := range routes(t) {
		if strings.HasPrefix(r.Path, "/api/") && r.Method != http.MethodGet && !c.called[r.Method+" "+r.Path] {
			t.Errorf("nobody knows whether a change is in force when %s %s is answered", r.Method, r.Path)
		}
	}
}
