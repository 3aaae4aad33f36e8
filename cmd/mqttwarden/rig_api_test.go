package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// object is a JSON object.
type object map[string]any

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request to the API as it is. headers are names and values in turn.
// It may be called from any goroutine; what can't be sent is an error.
func (p *program) send(method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(p.tb.Context(), method, "http://"+p.urls["http"]+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	var got bytes.Buffer
	_, err = io.Copy(&got, res.Body)
	return answer{res.StatusCode, res.Header, got.String()}, err
}

// do sends a request as admin to a path below /api, and waits for what it
// changes to be enforced. A body that is no string is sent as JSON.
func (p *program) do(method, path string, body any) (answer, error) {
	text, ok := body.(string)
	if !ok && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(b)
	}
	return p.send(method, "/api"+path, text, "Content-Type", "application/json",
		"Authorization", "Bearer "+p.token, "Prefer", "wait=10")
}

// must sends a request as admin and wants a status. A change must be enforced
// when its answer comes.
func (p *program) must(status int, method, path string, body any) answer {
	p.tb.Helper()
	p.asAdmin()
	a, err := p.do(method, path, body)
	if err != nil {
		p.tb.Fatal(err)
	}
	if a.status != status {
		p.tb.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	if a.header.Get("X-Change") != "" && a.header.Get("Preference-Applied") == "" {
		p.tb.Fatalf("%s %s: change %s is not enforced", method, path, a.header.Get("X-Change"))
	}
	return a
}

// asAdmin logs admin in, if that was not done yet.
func (p *program) asAdmin() {
	p.tb.Helper()
	if p.token == "" {
		p.token = p.login("admin", adminPassword)
	}
}

// login returns a token of a user.
func (p *program) login(name, password string) string {
	p.tb.Helper()
	b, err := json.Marshal(object{"username": name, "password": password})
	if err != nil {
		p.tb.Fatal(err)
	}
	a, err := p.send("POST", "/api/login", string(b), "Content-Type", "application/json")
	if err != nil || a.status != http.StatusOK {
		p.tb.Fatalf("login of %s: %d %s, %v", name, a.status, a.body, err)
	}
	return a.field(p, "token")
}

// field returns a text of an answer's object.
func (a answer) field(p *program, name string) string {
	p.tb.Helper()
	var got object
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		p.tb.Fatalf("%v in %s", err, a.body)
	}
	text, ok := got[name].(string)
	if !ok {
		p.tb.Fatalf("no %s in %s", name, a.body)
	}
	return text
}

// grant is a permission for MQTT.
func grant(operation, resource string) object {
	return object{"resource": resource, "operation": operation, "context": "mqtt"}
}

func reads(resource string) object  { return grant("read", resource) }
func writes(resource string) object { return grant("write", resource) }
func both(resource string) object   { return grant("readWrite", resource) }

// deny makes a permission a refusal.
func deny(g object) object {
	g["effect"] = "deny"
	return g
}

// secretOf is the password of a user made by user.
func secretOf(name string) string { return "pass-word of " + name }

// user makes a user with permissions of its own, and returns its id.
func (p *program) user(name string, grants ...object) string {
	p.tb.Helper()
	return p.userWith(name, object{"initialPermissions": grants})
}

// userWith makes a user with further fields, and returns its id.
func (p *program) userWith(name string, fields object) string {
	p.tb.Helper()
	u := object{"username": name, "password": secretOf(name), "identityProvider": "local"}
	for k, v := range fields {
		u[k] = v
	}
	return p.must(http.StatusCreated, "POST", "/users", u).field(p, "id")
}

// role makes a role, and returns its id.
func (p *program) role(name string, grants ...object) string {
	p.tb.Helper()
	return p.must(http.StatusCreated, "POST", "/roles", object{"name": name, "isShared": true, "permissions": grants}).field(p, "id")
}

// metric returns the value of a metric that has no labels.
func (p *program) metric(name string) float64 {
	p.tb.Helper()
	p.asAdmin()
	a, err := p.send("GET", "/metrics", "", "Authorization", "Bearer "+p.token)
	if err != nil || a.status != http.StatusOK {
		p.tb.Fatalf("metrics: %d, %v", a.status, err)
	}
	for line := range strings.Lines(a.body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				p.tb.Fatal(err)
			}
			return n
		}
	}
	p.tb.Fatalf("no metric %s", name)
	return 0
}

// reaches waits for a metric to have a value: what it counts happens by itself.
func (p *program) reaches(name string, want float64) {
	p.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		got := p.metric(name)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			p.tb.Fatalf("%s stays at %v, want %v", name, got, want)
		}
	}
}

// decode reads the body of an answer into v.
func (a answer) decode(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		tb.Fatalf("%v in %s", err, a.body)
	}
}
