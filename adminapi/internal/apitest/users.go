package apitest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// PostLogin sends a login.
func (a *API) PostLogin(body string) Answer {
	return a.Send("POST", "/api/login", body, "Content-Type", "application/json")
}

// Login returns a token of a user.
func (a *API) Login(username, password string) string {
	a.t.Helper()
	got := a.PostLogin(JSON(a.t, map[string]string{"username": username, "password": password}))
	if got.Status != http.StatusOK {
		a.t.Fatalf("login of %s: got %d %s", username, got.Status, got.Body)
	}
	return Fields(a.t, got.Body)["token"].(string)
}

// Basic returns an Authorization header.
func Basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

type permission struct {
	Context   string `json:"context"`
	Operation string `json:"operation"`
	Resource  string `json:"resource"`
	Effect    string `json:"effect,omitempty"`
}

// parse reads "operation resource", which is in the http context, "context
// operation resource", or "context operation resource effect".
func parse(text string) permission {
	f := strings.Fields(text)
	if len(f) == 2 {
		f = append([]string{"http"}, f...)
	}
	return permission{f[0], f[1], f[2], strings.Join(f[3:], "")}
}

// User makes a user with the password "password-of-" and its name, with
// permissions of its own: see parse. It returns its id.
func (a *API) User(name string, permissions ...string) string {
	a.t.Helper()
	own := []permission{}
	for _, p := range permissions {
		own = append(own, parse(p))
	}
	return ID(a.t, a.Must(http.StatusCreated, "POST", "/api/users", JSON(a.t, map[string]any{
		"username": name, "identityProvider": "local", "password": "password-of-" + name, "initialPermissions": own,
	})))
}

// Token makes a user as User does and returns a token of it.
func (a *API) Token(name string, permissions ...string) string {
	a.t.Helper()
	a.User(name, permissions...)
	return a.Login(name, "password-of-"+name)
}

// RoleID returns the id of the role with a name.
func (a *API) RoleID(name string) string {
	a.t.Helper()
	var roles []struct{ ID string }
	got := a.Must(http.StatusOK, "GET", "/api/roles?name[eq]="+name, "")
	if err := json.Unmarshal([]byte(got.Body), &roles); err != nil || len(roles) != 1 {
		a.t.Fatalf("role %s: got %s", name, got.Body)
	}
	return roles[0].ID
}
