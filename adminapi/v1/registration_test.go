package v1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
)

const deviceSecret = "hunter2-hunter2"

// wish is a registration with a password.
func wish(name, password string) string {
	return fmt.Sprintf(`{"username": %q, "password": %q, "context": "a device"}`, name, password)
}

// want fails unless a has this status and this very body, where the values of
// known stand for themselves.
func want(t testing.TB, what string, a apitest.Answer, status int, body map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != status {
		t.Fatalf("%s: got %d %s, want %d", what, a.Status, a.Body, status)
	}
	if diff := cmp.Diff(body, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// openWindow opens the window for a minute.
func openWindow(t testing.TB, api *apitest.API) {
	t.Helper()
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/open", `{"duration": 60000}`)
}

// pending returns what waits for a decision.
func pending(t testing.TB, api *apitest.API) []map[string]any {
	t.Helper()
	var list []map[string]any
	api.Must(http.StatusOK, "GET", "/api/client-registry", "").Decode(t, &list)
	if list == nil {
		t.Fatal("the list is null")
	}
	return list
}

func TestTheLadder(t *testing.T) {
	api := apitest.New(t)
	role := api.RoleID("minimum-access")
	body := `{"username": "gateway", "password": "` + deviceSecret + `", "context": "line 4", "roles": ["operators"],
		"permissions": [{"resource": "site1/#", "operation": "readWrite", "context": "mqtt"}]}`
	retry := func(what string, a apitest.Answer, seconds string) {
		t.Helper()
		if got := a.Header.Get("Retry-After"); got != seconds {
			t.Errorf("%s: Retry-After is %q, want %q", what, got, seconds)
		}
	}

	a := api.Register(body)
	want(t, "locked", a, http.StatusLocked, map[string]any{"status": "locked"})
	retry("locked", a, "10")

	openWindow(t, api)
	a = api.Register(body)
	first := apitest.Fields(t, a.Body)
	want(t, "open", a, http.StatusAccepted, map[string]any{
		"status": "pending", "username": "gateway", "id": first["id"], "pairingCode": first["pairingCode"],
	})
	retry("open", a, "5")
	if code, _ := first["pairingCode"].(string); len(code) != 6 {
		t.Errorf("the pairing code is %q", code)
	}
	want(t, "again", api.Register(body), http.StatusAccepted, first)
	apitest.Message(t, api.Register(wish("gateway", "another-secret")), http.StatusConflict)

	list := pending(t, api)
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

	a = api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", apitest.JSON(t, map[string]any{
		"username": "gateway", "pairingCode": strings.ToLower(first["pairingCode"].(string)), "id": first["id"],
		"mqttPublishPrefix": "site1/", "roles": []string{role},
		"initialPermissions": []any{map[string]any{"resource": "site1/a", "operation": "read", "context": "mqtt"}},
	}))
	if a.Header.Get("X-Change") == "" {
		t.Error("the confirmation has no receipt")
	}
	user := apitest.Fields(t, a.Body)
	if user["username"] != "gateway" || user["mqttPublishPrefix"] != "site1/" || len(user["roles"].([]any)) != 2 || len(user["permissions"].([]any)) != 1 {
		t.Errorf("the user is %s", a.Body)
	}
	if diff := cmp.Diff([]any{map[string]any{"method": "password", "isRequired": false}}, user["grantTypes"]); diff != "" {
		t.Error(diff)
	}
	if len(pending(t, api)) != 0 {
		t.Error("it waits still")
	}
	a = api.Register(body)
	want(t, "granted", a, http.StatusCreated, map[string]any{"status": "granted", "username": "gateway"})
	retry("granted", a, "")
	apitest.Message(t, api.Register(body), http.StatusConflict)
	api.Settle()
	api.Login("gateway", deviceSecret)

	api.Must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	want(t, "locked again", api.Register(body), http.StatusLocked, map[string]any{"status": "locked"})
	if strings.Contains(api.Log.String(), "hunter2") {
		t.Error("the password is in the log")
	}
}

func TestADeniedDeviceHearsSoUntilTheWindowCloses(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	body := wish("gateway", deviceSecret)
	code := apitest.Fields(t, api.Register(body).Body)["pairingCode"].(string)
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/deny", `{"username": "gateway", "pairingCode": "`+code+`"}`)
	for range 2 {
		a := api.Register(body)
		want(t, "denied", a, http.StatusForbidden, map[string]any{"status": "denied"})
		if a.Header.Get("Retry-After") != "" {
			t.Error("a denied device is told to come again")
		}
	}
	apitest.Message(t, api.Register(wish("gateway", "another-secret")), http.StatusConflict)
	for _, decision := range []string{"confirm", "deny"} {
		apitest.Message(t, api.Do("POST", "/api/client-registry/"+decision, `{"username": "gateway"}`), http.StatusNotFound)
	}
	api.Must(http.StatusNoContent, "POST", "/api/client-registry/lock", "")
	openWindow(t, api)
	if a := api.Register(body); a.Status != http.StatusAccepted {
		t.Errorf("in the next window: got %d %s", a.Status, a.Body)
	}
}

func TestDecisionsThatMissTheirRegistration(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret))
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
				apitest.Message(t, api.Do("POST", "/api/client-registry/"+decision, tt.body), tt.want)
			})
		}
	}
	for _, tt := range []struct{ field, body string }{
		{"role", `{"username": "gateway", "roles": ["minimum-access"]}`},
		{"mqttPublishPrefix", `{"username": "gateway", "mqttPublishPrefix": "a/#"}`},
		{"resource", `{"username": "gateway", "permissions": [{"resource": "", "operation": "read", "context": "mqtt"}]}`},
		{"permissions", `{"username": "gateway", "permissions": [], "initialPermissions": []}`},
	} {
		if m := apitest.Message(t, api.Do("POST", "/api/client-registry/confirm", tt.body), http.StatusBadRequest); !strings.Contains(m, tt.field) {
			t.Errorf("message %q does not name %s", m, tt.field)
		}
	}
	if len(pending(t, api)) != 1 {
		t.Error("a decision that failed decided")
	}
	api.Must(http.StatusCreated, "POST", "/api/client-registry/confirm", `{"username": "gateway"}`)
	apitest.Message(t, api.Do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusNotFound)
}

func TestAUserMadeMeanwhileEndsTheRegistration(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret))
	api.User("gateway")
	apitest.Message(t, api.Do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusConflict)
	apitest.Message(t, api.Do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`), http.StatusNotFound)
	apitest.Message(t, api.Register(wish("gateway", deviceSecret)), http.StatusConflict)
}

func TestOfManyConfirmationsOneMakesTheUser(t *testing.T) {
	api := apitest.New(t)
	openWindow(t, api)
	api.Register(wish("gateway", deviceSecret))
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			statuses[i] = api.Do("POST", "/api/client-registry/confirm", `{"username": "gateway"}`).Status
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
	api := apitest.New(t)
	openWindow(t, api)
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() { statuses[i] = api.Register(wish("gateway", fmt.Sprintf("secret-%d", i))).Status })
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
	api := apitest.New(t)
	for i := range 5 {
		openWindow(t, api)
		name := fmt.Sprintf("gateway-%d", i)
		body := wish(name, deviceSecret)
		api.Register(body)
		var confirmed int
		var all sync.WaitGroup
		all.Go(func() { confirmed = api.Do("POST", "/api/client-registry/confirm", `{"username": "`+name+`"}`).Status })
		all.Go(func() { api.Must(http.StatusNoContent, "POST", "/api/client-registry/lock", "") })
		all.Wait()
		wanted := map[int]int{http.StatusCreated: http.StatusCreated, http.StatusNotFound: http.StatusLocked}[confirmed]
		if a := api.Register(body); a.Status != wanted || wanted == 0 {
			t.Errorf("confirm: %d, then register: %d %s", confirmed, a.Status, a.Body)
		}
	}
}
