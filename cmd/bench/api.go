package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// api is an operator who is signed in to the Auth API.
type api struct {
	base  string
	http  *http.Client
	token string
}

// permission is a permission as the API has it.
type permission struct {
	ID        string `json:"id,omitempty"`
	Resource  string `json:"resource"`
	Operation string `json:"operation"`
	Context   string `json:"context"`
}

// both returns the permission to publish to and to read from a filter.
func both(filter string) permission {
	return permission{Resource: filter, Operation: "readWrite", Context: "mqtt"}
}

// signIn signs the operator in at the API at address.
func signIn(ctx context.Context, address string) (*api, error) {
	a := &api{base: "http://" + address, http: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: workers},
	}}
	var answer struct {
		Token string `json:"token"`
	}
	err := a.call(ctx, http.MethodPost, "/api/login", map[string]string{"username": "admin", "password": adminPassword}, &answer)
	a.token = answer.Token
	return a, err
}

// close lets go of the connections.
func (a *api) close() { a.http.CloseIdleConnections() }

// createRole makes a role and returns its id.
func (a *api) createRole(ctx context.Context, name string, permissions ...permission) (string, error) {
	return a.create(ctx, "/api/roles", map[string]any{"name": name, "isShared": true, "permissions": permissions})
}

// createUser makes a user, without a password if that is empty, and returns its id.
func (a *api) createUser(ctx context.Context, who credentials, roles ...string) (string, error) {
	user := map[string]any{"username": who.username, "identityProvider": "local"}
	if who.password != "" {
		user["password"] = who.password
	}
	if len(roles) > 0 {
		user["roles"] = roles
	}
	return a.create(ctx, "/api/users", user)
}

func (a *api) create(ctx context.Context, path string, what any) (string, error) {
	var answer struct {
		ID string `json:"id"`
	}
	err := a.call(ctx, http.MethodPost, path, what, &answer)
	return answer.ID, err
}

// grant gives a role its only permission, waits until that is enforced, and
// returns the id of the permission.
func (a *api) grant(ctx context.Context, role string, p permission) (string, error) {
	path := "/api/roles/" + role + "/permissions"
	if err := a.call(ctx, http.MethodPost, path, p, nil, "wait=5"); err != nil {
		return "", err
	}
	var all []permission
	if err := a.call(ctx, http.MethodGet, path, nil, &all); err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("the role has %d permissions, want 1", len(all))
	}
	return all[0].ID, nil
}

// revoke takes a permission from a role.
func (a *api) revoke(ctx context.Context, role, id string) error {
	return a.call(ctx, http.MethodDelete, "/api/roles/"+role+"/permissions/"+id, nil, nil)
}

// call sends body, unless it is nil, and reads the answer into answer, unless
// that is nil.
func (a *api) call(ctx context.Context, method, path string, body, answer any, prefer ...string) error {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	for _, p := range prefer {
		req.Header.Add("Prefer", p)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(b, answer)
}
