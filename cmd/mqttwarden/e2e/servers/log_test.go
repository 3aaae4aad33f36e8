package servers

import (
	"encoding/base64"
	"net/http"
	"os"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
	"mqttwarden/registry/rediscache/redistest"
)

// TestLogHoldsNoSecret does a day's work at the most talkative level, right and
// wrong, and looks in the log for everything that was secret in it.
func TestLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "--requirepass", "redis-pass-word")
	url := strings.Replace(redis.URL, "redis://", "redis://:redis-pass-word@", 1)
	p := rig.Launch(t, "--log-level", "debug", "--redis", url, "--admin-password", "unused-pass-word")
	secrets := []string{rig.AdminPassword, "redis-pass-word", "unused-pass-word"}

	id := p.UserWith("gw1", rig.Object{"grantTypes": []rig.Object{{"method": "password"}, {"method": "token"}}, "initialPermissions": []rig.Object{rig.Both("a/#")}})
	token := p.Login("gw1", rig.SecretOf("gw1"))
	secrets = append(secrets, p.Token, token, rig.SecretOf("gw1"))
	byToken := rig.As("gw1", "token")
	byToken.Password = token
	p.Connect(byToken)
	gw := p.Connect(rig.As("gw1", "g"))
	rig.WantCode(t, "publish", gw.Publish("b", "", 1, false), rig.NotAuthorized)

	wrong := rig.As("gw1", "g2")
	wrong.Password = "mistyped-pass-word"
	secrets = append(secrets, wrong.Password)
	for _, version := range []byte{4, 5} {
		if code := p.Dial(version).Connect(wrong).ReasonCode; code == rig.Success {
			t.Error("signed in with a wrong password")
		}
	}
	twice := p.Connect(rig.As("gw1", "twice"))
	twice.Send(rig.As("gw1", "twice").Packet(5)) // a protocol error with a password in it
	twice.ExpectEnd()

	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/login", `{"username":"gw1","password":"mistyped-pass-word"}`},
		{"POST", "/api/login", `{"username":"gw1","password":"mistyped-pass-word"`},
		{"POST", "/api/login", `{"username":"gw1","passwrod":"mistyped-pass-word"}`},
		{"POST", "/api/logout", `{"token":"` + token + `"}`},
		{"GET", "/api/session?apiToken=" + p.Token, ""},
		{"GET", "/api/session?apiToken=" + p.Token + "x", ""},
	} {
		if _, err := p.Send(r.method, r.path, r.body, "Content-Type", "application/json"); err != nil {
			t.Fatal(err)
		}
	}
	basic := "admin:" + rig.AdminPassword
	if _, err := p.Send("GET", "/api/session", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(basic))); err != nil {
		t.Fatal(err)
	}
	p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"password": "changed-pass-word"})
	secrets = append(secrets, "changed-pass-word")
	key, err := os.ReadFile(p.Dir + "/master.key")
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
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}

	log := p.Log.String() + p.Out.String()
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
