package policy

import (
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Refused, unavailable and busy are three answers, in both versions of MQTT.

// wantRefusal connects by MQTT 5 and 3.1.1 and wants these answers.
func wantRefusal(p *rig.Program, what string, c mqtttest.Connect, v5, v3 byte) {
	p.TB.Helper()
	rig.WantCode(p.TB, what, p.Dial(5).Connect(c).ReasonCode, v5)
	rig.WantCode(p.TB, what+", MQTT 3.1.1", p.Dial(4).Connect(c).ReasonCode, v3)
}

func TestRefusalTellsWhatKindItIs(t *testing.T) {
	p := rig.Launch(t)
	p.User("alice")
	p.UserWith("inactive", rig.Object{"isActive": false})
	p.UserWith("by-token", rig.Object{"grantTypes": []rig.Object{{"method": "token"}}})
	p.UserWith("by-cert", rig.Object{"grantTypes": []rig.Object{{"method": "password"}, {"method": "certificate", "isRequired": true}}})

	wrong := rig.As("alice", "a")
	wrong.Password = "a wrong one"
	wantRefusal(p, "wrong password", wrong, rig.BadCredentials, 4)
	wantRefusal(p, "unknown user", rig.As("nobody", "n"), rig.BadCredentials, 4)
	wantRefusal(p, "no credentials", mqtttest.Connect{ClientID: "x"}, rig.BadCredentials, 4)
	wantRefusal(p, "not that grant type", rig.As("by-token", "t"), rig.NotAuthorized, 5)
	wantRefusal(p, "half of what is required", rig.As("by-cert", "c"), rig.NotAuthorized, 5)
	wantRefusal(p, "user that is not active", rig.As("inactive", "i"), rig.NotAuthorized, 5)
	wantRefusal(p, "a client ID that is reserved", rig.As("alice", "$a"), rig.BadClientID, 2)

	token := rig.As("by-token", "t")
	token.Password = "eyJhbGciOiJub25lIn0.e30."
	wantRefusal(p, "forged token", token, rig.BadCredentials, 4)
}

// TestStoreThatCannotBeAsked takes a table away under the running program, as a
// broken disk would, and gives it back.
func TestStoreThatCannotBeAsked(t *testing.T) {
	p := rig.Launch(t)
	p.User("known", rig.Both("k/#"))
	p.User("unseen", rig.Both("u/#"))
	known := p.Connect(rig.As("known", "k"))

	db, err := sql.Open("sqlite", filepath.Join(p.Dir, "mqttwarden.db")+"?_pragma=busy_timeout(5000)&_pragma=legacy_alter_table(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to)); err != nil {
			t.Fatal(err)
		}
	}
	rename("users", "users_away")
	wantRefusal(p, "CONNECT of a user that is not in memory", rig.As("unseen", "u"), rig.Unavailable, 3)
	rig.WantCode(t, "publish of a live session", known.Publish("k/1", "", 1, false)&^0x10, rig.Success)
	known.Disconnect()
	p.Connect(rig.As("known", "k")) // from memory

	rename("users_away", "users")
	p.Connect(rig.As("unseen", "u"))
}

func TestFullHashPoolIsBusyNotWrong(t *testing.T) {
	p := rig.Launch(t, "--hash-memory", "8192", "--hash-time", "64", "--hash-workers", "1", "--hash-queue", "1")
	const flood = 6 // of which one is hashed and one may wait
	for _, version := range []byte{5, 4} {
		busy := map[byte]byte{5: rig.ServerBusy, 4: 3}[version]
		wrong := map[byte]byte{5: rig.BadCredentials, 4: 4}[version]
		codes := make(chan byte, flood)
		for i := range flood {
			cl := p.Dial(version)
			go func() { codes <- cl.Connect(rig.As(fmt.Sprint("nobody-", i), "n")).ReasonCode }()
		}
		refused := 0
		for range flood {
			switch code := <-codes; code {
			case busy:
				refused++
			case wrong:
			default:
				t.Errorf("CONNECT by version %d: %#02x", version, code)
			}
		}
		if refused == 0 {
			t.Errorf("version %d: nobody was refused as %#02x", version, busy)
		}
	}
	answers := make(chan *http.Response, flood)
	for i := range flood {
		go func() {
			res, err := p.Client.Post("http://"+p.URLs["http"]+"/api/login", "application/json",
				strings.NewReader(fmt.Sprintf(`{"username":"nobody-%d","password":"guess"}`, i)))
			if err == nil {
				_ = res.Body.Close()
			}
			answers <- res
		}()
	}
	refused := 0
	for range flood {
		switch res := <-answers; {
		case res == nil:
			t.Error("a login was not answered")
		case res.StatusCode == http.StatusServiceUnavailable:
			if refused++; res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		case res.StatusCode != http.StatusUnauthorized:
			t.Errorf("login: %d", res.StatusCode)
		}
	}
	if refused == 0 {
		t.Error("no login was refused as 503")
	}
}
