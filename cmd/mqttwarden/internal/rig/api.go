package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Object is a JSON object.
type Object map[string]any

// Answer is what the API said.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Send sends a request to the API as it is. headers are names and values in turn.
// It may be called from any goroutine; what can't be sent is an error.
func (p *Program) Send(method, path, body string, headers ...string) (Answer, error) {
	req, err := http.NewRequestWithContext(p.TB.Context(), method, "http://"+p.URLs["http"]+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := p.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	var got bytes.Buffer
	_, err = io.Copy(&got, res.Body)
	return Answer{res.StatusCode, res.Header, got.String()}, err
}

// Do sends a request as admin to a path below /api, and waits for what it
// changes to be enforced. A body that is no string is sent as JSON.
func (p *Program) Do(method, path string, body any) (Answer, error) {
	return p.do(method, path, body, "Prefer", "wait=10")
}

// do sends a request as admin to a path below /api, with further headers.
func (p *Program) do(method, path string, body any, headers ...string) (Answer, error) {
	text, ok := body.(string)
	if !ok && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		text = string(b)
	}
	return p.Send(method, "/api"+path, text, append(headers, "Content-Type", "application/json", "Authorization", "Bearer "+p.Token)...)
}

// Plainly sends a request as admin as most clients do, without a word on when it
// wants to be answered, and wants a status and a change.
func (p *Program) Plainly(status int, method, path string, body any) Answer {
	p.TB.Helper()
	p.AsAdmin()
	a, err := p.do(method, path, body)
	if err != nil || a.Status != status || a.Header.Get("X-Change") == "" {
		p.TB.Fatalf("%s %s: %d %s, change %q, %v", method, path, a.Status, a.Body, a.Header.Get("X-Change"), err)
	}
	return a
}

// Must sends a request as admin and wants a status. A change must be enforced
// when its answer comes.
func (p *Program) Must(status int, method, path string, body any) Answer {
	p.TB.Helper()
	p.AsAdmin()
	a, err := p.Do(method, path, body)
	if err != nil {
		p.TB.Fatal(err)
	}
	if a.Status != status {
		p.TB.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
	}
	if a.Header.Get("X-Change") != "" && a.Header.Get("Preference-Applied") == "" {
		p.TB.Fatalf("%s %s: change %s is not enforced", method, path, a.Header.Get("X-Change"))
	}
	return a
}

// AsAdmin logs admin in, if that was not done yet.
func (p *Program) AsAdmin() {
	p.TB.Helper()
	if p.Token == "" {
		p.Token = p.Login("admin", AdminPassword)
	}
}

// Login returns a token of a user.
func (p *Program) Login(name, password string) string {
	p.TB.Helper()
	b, err := json.Marshal(Object{"username": name, "password": password})
	if err != nil {
		p.TB.Fatal(err)
	}
	a, err := p.Send("POST", "/api/login", string(b), "Content-Type", "application/json")
	if err != nil || a.Status != http.StatusOK {
		p.TB.Fatalf("login of %s: %d %s, %v", name, a.Status, a.Body, err)
	}
	return a.Field(p, "token")
}

// Field returns a text of an answer's object.
func (a Answer) Field(p *Program, name string) string {
	p.TB.Helper()
	var got Object
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		p.TB.Fatalf("%v in %s", err, a.Body)
	}
	text, ok := got[name].(string)
	if !ok {
		p.TB.Fatalf("no %s in %s", name, a.Body)
	}
	return text
}

// Grant is a permission for MQTT.
func Grant(operation, resource string) Object {
	return Object{"resource": resource, "operation": operation, "context": "mqtt"}
}

// Reads is the right to subscribe.
func Reads(resource string) Object { return Grant("read", resource) }

// Writes is the right to publish.
func Writes(resource string) Object { return Grant("write", resource) }

// Both is the right to subscribe and to publish.
func Both(resource string) Object { return Grant("readWrite", resource) }

// Deny makes a permission a refusal.
func Deny(g Object) Object {
	g["effect"] = "deny"
	return g
}

// SecretOf is the password of a user made by Program.User.
func SecretOf(name string) string { return "pass-word of " + name }

// User makes a user with permissions of its own, and returns its id.
func (p *Program) User(name string, grants ...Object) string {
	p.TB.Helper()
	return p.UserWith(name, Object{"initialPermissions": grants})
}

// UserWith makes a user with further fields, and returns its id.
func (p *Program) UserWith(name string, fields Object) string {
	p.TB.Helper()
	u := Object{"username": name, "password": SecretOf(name), "identityProvider": "local"}
	for k, v := range fields {
		u[k] = v
	}
	return p.Must(http.StatusCreated, "POST", "/users", u).Field(p, "id")
}

// Role makes a role, and returns its id.
func (p *Program) Role(name string, grants ...Object) string {
	p.TB.Helper()
	return p.Must(http.StatusCreated, "POST", "/roles", Object{"name": name, "isShared": true, "permissions": grants}).Field(p, "id")
}

// Metric returns the value of a metric that has no labels.
func (p *Program) Metric(name string) float64 {
	p.TB.Helper()
	p.AsAdmin()
	a, err := p.Send("GET", "/metrics", "", "Authorization", "Bearer "+p.Token)
	if err != nil || a.Status != http.StatusOK {
		p.TB.Fatalf("metrics: %d, %v", a.Status, err)
	}
	for line := range strings.Lines(a.Body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				p.TB.Fatal(err)
			}
			return n
		}
	}
	p.TB.Fatalf("no metric %s", name)
	return 0
}

// Reaches waits for a metric to have a value: what it counts happens by itself.
func (p *Program) Reaches(name string, want float64) {
	p.TB.Helper()
	Eventually(p.TB, func() error {
		if got := p.Metric(name); got != want {
			return fmt.Errorf("%s stays at %v, want %v", name, got, want)
		}
		return nil
	})
}

// Decode reads the body of an answer into v.
func (a Answer) Decode(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		tb.Fatalf("%v in %s", err, a.Body)
	}
}
