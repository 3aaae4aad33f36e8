package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const deviceSecret = "hunter2-hunter2"

// register sends a registration as a device does: without a credential.
func (w *world) register(body string, headers ...string) answer {
	return w.send("POST", "/api/client-registry/register", body, append(headers, "Content-Type", "application/json")...)
}

// wish is a registration with a password.
func wish(name, password string) string {
	return fmt.Sprintf(`{"username": %q, "password": %q, "context": "a device"}`, name, password)
}

// open opens the window for a minute.
func (w *world) open() {
	w.Helper()
	w.must(http.StatusNoContent, "POST", "/api/client-registry/open", `{"duration": 60000}`)
}

// pending returns what waits for a decision.
func (w *world) pending() []map[string]any {
	w.Helper()
	var list []map[string]any
	w.must(http.StatusOK, "GET", "/api/client-registry", "").decode(w, &list)
	if list == nil {
		w.Fatal("the list is null")
	}
	return list
}

// want fails unless a has this status and this very body, where the values of
// known stand for themselves.
func want(t testing.TB, what string, a answer, status int, body map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != status {
		t.Fatalf("%s: got %d %s, want %d", what, a.status, a.body, status)
	}
	if diff := cmp.Diff(body, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestTheLadder(t *testing.T) {
	w := newWorld(t, nil)
	role := w.roleID("minimum-access")
	body := `{"username": "gateway", "password": "` + deviceSecret + `", "context": "line 4", "roles": ["operators"],
		"permissions": [{"resource": "site1/#", "operation": "readWrite", "context": "mqtt"}]}`
	retry := func(what string, a answer, seconds string) {
		t.Helper()
		if got := a.header.Get("Retry-After"); got != seconds {
			t.Errorf("%s: Retry-After is %q, want %q", what, got, seconds)
		}
	}

	a := w.register(body)
	want(t, "locked", a, http.StatusLocked, map[string]any{"status": "locked"})
	retry("locked", a, "10")

	w.open()
	a = w.register(body)
	first := fields(t, a.body)
	want(t, "open", a, http.StatusAccepted, map[string]any{
		"status": "pending", "username": "gateway", "id": first["id"], "pairingCode": first["pairingCode"],
	})
	retry("open", a, "5")
	if code, _ := first["pairingCode"].(string); len(code) != 6 {
		t.Errorf("the pairing code is %q", code)
	}
	want(t, "again", w.register(body), http.StatusAccepted, first)
	message(t, w.register(wish("gateway", "another-secret")), http.StatusConflict)

	list := w.pending()
	if len(list) != 1 {
		t.Fatalf("%d wait", len(list))
	}
	if diff := cmp.Diff(map[string]any{
		"id": first["id"], "username": "gateway", "pairingCode": first["pairingCode"], "context": "line 4",
		"roles": []any{"operators"}, "hasCsr": false, "source": "http", "remote": "192.0.2.1",
		"initialPermissions": []any{map[string]any{"resource": "site1/#", "operation": "readWrite", "context": "mqtt", "effect": "allow"}},
		"firstSeen":          list[0]["firstSeen"], "lastSeen": list[0]["lastSeen"],
	}, list[0]); diff != "" {
		t.Error(diff)
	}

	a = w.must(http.StatusCreated, "POST", "/api/client-registry/confirm", mustJSON(t, map[string]any{
		"username": "gateway", "pairingCode": strings.ToLower(first["pairingCode"].(string)), "id": first["id"],
		"mqttPublishPrefix": "site1/", "roles": []string{role},
		"initialPermissions": []any{map[string]any{"resource": "site1/a", "operation": "read", "context": "mqtt"}},
	}))
	if a.header.Get("X-Change") == "" {
		t.Error("the confirmation has no receipt")
	}
	user := fields(t, a.body)
	if user["username"] != "gateway" || user["mqttPublishPrefix"] != "site1/" || len(user["roles"].([]any)) != 2 || len(user["permissions"].([]any)) != 1 {
		t.Errorf("the user is %s", a.body)
	}
	if diff := cmp.Diff([]any{map[string]any{"method": "password", "isRequired": false}}, user["grantTypes"]); diff != "" {
		t.Error(diff)
	}
	if len(w.pending()) != 0 {
		t.Error("it waits still")
	}
	a = w.register(body)
	want(t, "granted", a, http.StatusCreated, map[string]any{"status": "granted", "username": "gateway"})
	retry("granted", a, "")
	message(t, w.register(body), http.StatusConflict)
	w.settle()
	w.login("gateway", deviceSecret)

	w.must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	want(t, "locked again", w.register(body), http.StatusLocked, map[string]any{"status": "locked"})
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("the password is in the log")
	}
}

func TestADeniedDeviceHearsSoUntilTheWindowCloses(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	body := wish("gateway", deviceSecret)
	code := fields(t, w.register(body).body)["pairingCode"].(string)
	w.must(http.StatusNoContent, "POST", "/api/client-registry/deny", `{"username": "gateway", "pairingCode": "`+code+`"}`)
	for range 2 {
		a := w.register(body)
		want(t, "denied", a, http.StatusForbidden, map[string]any{"status": "denied"})
		if a.header.Get("Retry-After") != "" {
			t.Error("a denied device is told to come again")
		}
	}
	message(t, w.register(wish("gateway", "another-secret")), http.StatusConflict)
	for _, decision := range []string{"confirm", "deny"} {
		message(t, w.do("POST", "/api/client-registry/"+decision, `{"username": "gateway"}`), http.StatusNotFound)
	}
	w.must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	w.open()
	if a := w.register(body); a.status != http.StatusAccepted {
		t.Errorf("in the next window: got %d %s", a.status, a.body)
	}
}

func TestDecisionsThatMissTheirRegistration(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	w.register(wish("gateway", deviceSecret))
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"nobody asked", `{"username": "nobody"}`, http.StatusNotFound},
		{"another case", `{"username": "Gateway"}`, http.StatusNotFound},
		{"another pairing code", `{"username": "gateway", "pairingCode": "ABCDEF"}`, http.StatusConflict},
		{"another id", `{"username": "gateway", "id": "01890a5d-ac96-774b-bcce-b302099a8057"}`, http.StatusConflict},
		{"no name", `{"pairingCode": "ABCDEF"}`, http.StatusBadRequest},
		{"a name that is too short", `{"username": "ab"}`, http.StatusBadRequest},
		{"an unknown field", `{"username": "gateway", "code": "ABCDEF"}`, http.StatusBadRequest},
		{"no body", "", http.StatusBadRequest},
	} {
		for _, decision := range []string{"confirm", "deny"} {
			t.Run(decision+": "+tt.name, func(t *testing.T) {
				message(t, w.do("POST", "/api/client-registry/"+decision, tt.body), tt.want)
			})
		}
	}
	for _, tt := range []struct{ field, body string }{
		{"role", `{"username": "gateway", "roles": ["minimum-access"]}`},
		{"mqttPublishPrefix", `{"username": "gateway", "mqttPublishPrefix": "a/#"}`},
		{"resource", `{"username": "gateway", "permissions": [{"resource": "", "operation": "read", "context": "mqtt"}]}`},
		{"permissions", `{"username": "gateway", "permissions": [], "initialPermissions": []}`},
	} {
		if m := message(t, w.do("POST", "/api/client-registry/confirm", tt.body), http.StatusBadRequest); !strings.Contains(m, tt.field) {
			t.Errorf("message %q does not name %s", m, tt.field)
		}
	}
	if len(w.pending()) != 1 {
		t.Error("a decision that failed decided")
	}
	w.must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`)
	message(t, w.do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusNotFound)
}

func TestAUserMadeMeanwhileEndsTheRegistration(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	w.register(wish("gateway", deviceSecret))
	w.user("gateway")
	message(t, w.do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusConflict)
	message(t, w.do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusNotFound)
	message(t, w.register(wish("gateway", deviceSecret)), http.StatusConflict)
}

func TestOfManyConfirmationsOneMakesTheUser(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	w.register(wish("gateway", deviceSecret))
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			statuses[i] = w.do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`).status
		})
	}
	all.Wait()
	count := make(map[int]int)
	for _, s := range statuses {
		count[s]++
	}
	if diff := cmp.Diff(map[int]int{http.StatusCreated: 1, http.StatusNotFound: 7}, count); diff != "" {
		t.Error(diff)
	}
}

func TestOfManySecretsForOneNameOneIsTaken(t *testing.T) {
	w := newWorld(t, nil)
	w.open()
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() { statuses[i] = w.register(wish("gateway", fmt.Sprintf("secret-%d", i))).status })
	}
	all.Wait()
	count := make(map[int]int)
	for _, s := range statuses {
		count[s]++
	}
	if diff := cmp.Diff(map[int]int{http.StatusAccepted: 1, http.StatusConflict: 7}, count); diff != "" {
		t.Error(diff)
	}
}

// A lock and a confirmation at once: the device is granted, or nothing waits.
func TestLockAgainstConfirm(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		w.open()
		name := fmt.Sprintf("gateway-%d", i)
		body := wish(name, deviceSecret)
		w.register(body)
		var confirmed int
		var all sync.WaitGroup
		all.Go(func() { confirmed = w.do("POST", "/api/client-registry/confirm", `{"username": "`+name+`"}`).status })
		all.Go(func() { w.must(http.StatusNoContent, "POST", "/api/client-registry/lock", "") })
		all.Wait()
		wanted := map[int]int{http.StatusCreated: http.StatusCreated, http.StatusNotFound: http.StatusLocked}[confirmed]
		if a := w.register(body); a.status != wanted || wanted == 0 {
			t.Errorf("confirm: %d, then register: %d %s", confirmed, a.status, a.body)
		}
	}
}
