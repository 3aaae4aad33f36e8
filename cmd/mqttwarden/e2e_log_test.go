package main

import (
	"encoding/base64"
	"net/http"
	"os"
	"strings"
	"testing"

	"mqttwarden/registry/rediscache/redistest"
)

// TestLogHoldsNoSecret does a day's work at the most talkative level, right and
// wrong, and looks in the log for everything that was secret in it.
func TestLogHoldsNoSecret(t *testing.T) {
	redis := redistest.Start(t, "--requirepass", "redis-pass-word")
	url := strings.Replace(redis.URL, "redis://", "redis://:redis-pass-word@", 1)
	p := launch(t, "--log-level", "debug", "--redis", url, "--admin-password", "unused-pass-word")
	secrets := []string{adminPassword, "redis-pass-word", "unused-pass-word"}

	id := p.userWith("gw1", object{"grantTypes": []object{{"method": "password"}, {"method": "token"}}, "initialPermissions": []object{both("a/#")}})
	token := p.login("gw1", secretOf("gw1"))
	secrets = append(secrets, p.token, token, secretOf("gw1"))
	byToken := as("gw1", "token")
	byToken.Password = token
	p.connect(byToken)
	gw := p.connect(as("gw1", "g"))
	wantCode(t, "publish", gw.Publish("b", "", 1, false), notAuthorized)

	wrong := as("gw1", "g2")
	wrong.Password = "mistyped-pass-word"
	secrets = append(secrets, wrong.Password)
	for _, version := range []byte{4, 5} {
		if code := p.dial(version).Connect(wrong).ReasonCode; code == success {
			t.Error("signed in with a wrong password")
		}
	}
	twice := p.connect(as("gw1", "twice"))
	twice.Send(as("gw1", "twice").Packet(5)) // a protocol error with a password in it
	twice.ExpectEnd()

	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/login", `{"username":"gw1","password":"mistyped-pass-word"}`},
		{"POST", "/api/login", `{"username":"gw1","password":"mistyped-pass-word"`},
		{"POST", "/api/login", `{"username":"gw1","passwrod":"mistyped-pass-word"}`},
		{"POST", "/api/logout", `{"token":"` + token + `"}`},
		{"GET", "/api/session?apiToken=" + p.token, ""},
		{"GET", "/api/session?apiToken=" + p.token + "x", ""},
	} {
		if _, err := p.send(r.method, r.path, r.body, "Content-Type", "application/json"); err != nil {
			t.Fatal(err)
		}
	}
	basic := "admin:" + adminPassword
	if _, err := p.send("GET", "/api/session", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(basic))); err != nil {
		t.Fatal(err)
	}
	p.must(http.StatusOK, "PUT", "/users/"+id, object{"password": "changed-pass-word"})
	secrets = append(secrets, "changed-pass-word")
	key, err := os.ReadFile(p.dir + "/master.key")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(key)) {
		for word := range strings.FieldsSeq(line) {
			if len(word) >= 40 {
				secrets = append(secrets, word)
			}
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}

	log := p.log.String() + p.out.String()
	for _, want := range []string{"connect refused", "session ended", "/api/login"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log says nothing of %q: is it the log?", want)
		}
	}
	for _, s := range secrets {
		if strings.Contains(log, s) || strings.Contains(log, base64.StdEncoding.EncodeToString([]byte(s))) {
			t.Errorf("%q is in the log", s)
		}
	}
	if strings.Contains(log, "$argon2id$") {
		t.Error("a hash is in the log")
	}
}
