package policy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// What is wrong with a request, told in one form.

func TestBadRequestsAreAnsweredInOneForm(t *testing.T) {
	p := rig.Launch(t)
	p.AsAdmin()
	alice := p.User("alice")
	p.Role("operators")
	adminID := adminID(t, p)
	auth := []string{"Authorization", "Bearer " + p.Token}
	jsonType := append([]string{"Content-Type", "application/json"}, auth...)
	huge := `{"username":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"a body over 1 MiB", "POST", "/api/users", huge, jsonType, http.StatusRequestEntityTooLarge},
		{"the same at the open door", "POST", "/api/login", huge, []string{"Content-Type", "application/json"}, http.StatusRequestEntityTooLarge},
		{"a type that is not JSON", "POST", "/api/users", `{"username":"bob"}`, append([]string{"Content-Type", "text/plain"}, auth...), http.StatusUnsupportedMediaType},
		{"JSON that is none", "POST", "/api/users", `{"username":`, jsonType, http.StatusBadRequest},
		{"JSON of another type", "POST", "/api/users", `[1]`, jsonType, http.StatusBadRequest},
		{"two documents", "POST", "/api/users", `{"username":"bob","identityProvider":"local"}{}`, jsonType, http.StatusBadRequest},
		{"no body", "POST", "/api/users", ``, jsonType, http.StatusBadRequest},
		{"a field that is missing", "POST", "/api/users", `{"username":"bob"}`, jsonType, http.StatusBadRequest},
		{"a value out of its list", "POST", "/api/users", `{"username":"bob","identityProvider":"guess"}`, jsonType, http.StatusBadRequest},
		{"a name that can't be one", "POST", "/api/users", `{"username":"a/#","identityProvider":"local"}`, jsonType, http.StatusBadRequest},
		{"a password too short", "POST", "/api/users", `{"username":"bob","identityProvider":"local","password":"1234"}`, jsonType, http.StatusBadRequest},
		{"a filter that is none", "POST", "/api/users", `{"username":"bob","identityProvider":"local","permissions":[{"resource":"a/#/b","operation":"read","context":"mqtt"}]}`, jsonType, http.StatusBadRequest},
		{"a fingerprint that is none", "POST", "/api/users/" + alice + "/certificates", `{"fingerprint":"` + strings.Repeat("z", 64) + `"}`, jsonType, http.StatusBadRequest},
		{"a route that is not there", "GET", "/api/nothing", "", auth, http.StatusNotFound},
		{"nor outside of the API", "GET", "/nothing", "", auth, http.StatusNotFound},
		{"a method that is not there", "PATCH", "/api/users", "", auth, http.StatusMethodNotAllowed},
		{"a path with an encoded slash", "GET", "/api/users/..%2froles", "", auth, http.StatusBadRequest},
		{"a path with a dot segment", "GET", "/api/users/../roles", "", auth, http.StatusBadRequest},
		{"a user that is not there", "GET", "/api/users/nobody", "", auth, http.StatusNotFound},
		{"a role that is not there", "DELETE", "/api/roles/none", "", auth, http.StatusNotFound},
		{"a change that is not there", "GET", "/api/changes/4000000000", "", auth, http.StatusNotFound},
		{"a user name that is taken", "POST", "/api/users", `{"username":"alice","identityProvider":"local"}`, jsonType, http.StatusConflict},
		{"the same in another case", "POST", "/api/users", `{"username":"Alice","identityProvider":"local"}`, jsonType, http.StatusConflict},
		{"a role name that is taken", "POST", "/api/roles", `{"name":"operators","isShared":true}`, jsonType, http.StatusConflict},
		{"deleting the last admin", "DELETE", "/api/users/" + adminID, "", auth, http.StatusConflict},
		{"disabling the last admin", "PUT", "/api/users/" + adminID, `{"isActive":false}`, jsonType, http.StatusConflict},
		{"taking the last admin's rights", "PUT", "/api/users/" + adminID, `{"roles":[]}`, jsonType, http.StatusConflict},
		{"nobody", "GET", "/api/users", "", nil, http.StatusUnauthorized},
		{"a token that is none", "GET", "/api/users", "", []string{"Authorization", "Bearer x"}, http.StatusUnauthorized},
		{"a wrong password", "POST", "/api/login", `{"username":"admin","password":"wrong"}`, []string{"Content-Type", "application/json"}, http.StatusUnauthorized},
		{"no right", "GET", "/api/users", "", []string{"Authorization", "Bearer " + p.Login("alice", rig.SecretOf("alice"))}, http.StatusForbidden},
		{"another site's page", "POST", "/api/users", `{}`, append([]string{"Sec-Fetch-Site", "cross-site"}, jsonType...), http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := p.Send(tt.method, tt.path, tt.body, tt.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != tt.want {
				t.Fatalf("%d %s, want %d", a.Status, a.Body, tt.want)
			}
			var problem struct {
				StatusCode int
				Error      string
				Message    string
			}
			dec := json.NewDecoder(strings.NewReader(a.Body))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&problem); err != nil {
				t.Fatalf("%v in %q", err, a.Body)
			}
			if problem.StatusCode != tt.want || problem.Error != http.StatusText(tt.want) || problem.Message == "" {
				t.Errorf("%s is not in the form", a.Body)
			}
			if a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("no nosniff")
			}
		})
	}
	p.Login("admin", rig.AdminPassword) // nothing of this did any harm
}

func adminID(t *testing.T, p *rig.Program) string {
	t.Helper()
	var page struct{ Users []struct{ ID string } }
	p.Must(http.StatusOK, "GET", "/users?username[eq]=admin", nil).Decode(t, &page)
	if len(page.Users) != 1 {
		t.Fatalf("%d users are named admin", len(page.Users))
	}
	return page.Users[0].ID
}

func TestOneOfManyConcurrentCreationsWins(t *testing.T) {
	p := rig.Launch(t)
	p.AsAdmin()
	for _, tt := range []struct {
		path string
		body rig.Object
	}{
		{"/users", rig.Object{"username": "twin", "identityProvider": "local", "password": "pass-word"}},
		{"/roles", rig.Object{"name": "twin", "isShared": true}},
	} {
		const many = 20
		statuses := make(chan int, many)
		var all sync.WaitGroup
		for range many {
			all.Go(func() {
				a, err := p.Do("POST", tt.path, tt.body)
				if err != nil {
					t.Error(err)
				}
				statuses <- a.Status
			})
		}
		all.Wait()
		close(statuses)
		got := make(map[int]int)
		for s := range statuses {
			got[s]++
		}
		if got[http.StatusCreated] != 1 || got[http.StatusConflict] != many-1 {
			t.Errorf("POST %s: %v, want one 201 and nineteen 409", tt.path, got)
		}
	}
}

func TestEveryChangeHasANumber(t *testing.T) {
	p := rig.Launch(t)
	id := p.User("alice")
	last := uint64(0)
	for i := range 5 {
		a := p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"mqttPublishPrefix": fmt.Sprintf("p%d/", i)})
		n, err := strconv.ParseUint(a.Header.Get("X-Change"), 10, 64)
		if err != nil || n <= last {
			t.Fatalf("X-Change %q after %d", a.Header.Get("X-Change"), last)
		}
		if got := a.Header.Get("Preference-Applied"); got != "wait=10" {
			t.Errorf("Preference-Applied %q, want wait=10", got)
		}
		var change struct {
			Change   uint64
			Enforced bool
		}
		p.Must(http.StatusOK, "GET", fmt.Sprintf("/changes/%d", n), nil).Decode(t, &change)
		if change.Change != n || !change.Enforced {
			t.Errorf("%+v, want change %d enforced", change, n)
		}
		last = n
	}
	a, err := p.Send("PUT", "/api/users/"+id, `{"mqttPublishPrefix":"q/"}`, "Content-Type", "application/json", "Authorization", "Bearer "+p.Token)
	if err != nil || a.Header.Get("X-Change") == "" || a.Header.Get("Preference-Applied") != "" {
		t.Errorf("without Prefer: %v, %v", a.Header, err)
	}
	if a := p.Must(http.StatusOK, "GET", "/users/"+id, nil); a.Header.Get("X-Change") != "" {
		t.Error("a GET has a change")
	}
}
