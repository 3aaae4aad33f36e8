package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"mqttwarden/broker/mqtttest"
)

// Refused, unavailable and busy are three answers, in both versions of MQTT.

// wantRefusal connects by MQTT 5 and 3.1.1 and wants these answers.
func (p *program) wantRefusal(what string, c mqtttest.Connect, v5, v3 byte) {
	p.tb.Helper()
	wantCode(p.tb, what, p.dial(5).Connect(c).ReasonCode, v5)
	wantCode(p.tb, what+", MQTT 3.1.1", p.dial(4).Connect(c).ReasonCode, v3)
}

func TestRefusalTellsWhatKindItIs(t *testing.T) {
	p := launch(t)
	p.user("alice")
	p.userWith("inactive", object{"isActive": false})
	p.userWith("by-token", object{"grantTypes": []object{{"method": "token"}}})
	p.userWith("by-cert", object{"grantTypes": []object{{"method": "password"}, {"method": "certificate", "isRequired": true}}})

	wrong := as("alice", "a")
	wrong.Password = "a wrong one"
	p.wantRefusal("wrong password", wrong, badCredentials, 4)
	p.wantRefusal("unknown user", as("nobody", "n"), badCredentials, 4)
	p.wantRefusal("no credentials", mqtttest.Connect{ClientID: "x"}, badCredentials, 4)
	p.wantRefusal("not that grant type", as("by-token", "t"), notAuthorized, 5)
	p.wantRefusal("half of what is required", as("by-cert", "c"), notAuthorized, 5)
	p.wantRefusal("user that is not active", as("inactive", "i"), notAuthorized, 5)
	p.wantRefusal("a client ID with a wildcard", as("alice", "a/#"), badClientID, 2)

	token := as("by-token", "t")
	token.Password = "eyJhbGciOiJub25lIn0.e30."
	p.wantRefusal("forged token", token, badCredentials, 4)
}

// TestStoreThatCannotBeAsked takes a table away under the running program, as a
// broken disk would, and gives it back.
func TestStoreThatCannotBeAsked(t *testing.T) {
	p := launch(t)
	p.user("known", both("k/#"))
	p.user("unseen", both("u/#"))
	known := p.connect(as("known", "k"))

	db, err := sql.Open("sqlite", filepath.Join(p.dir, "mqttwarden.db")+"?_pragma=busy_timeout(5000)&_pragma=legacy_alter_table(1)")
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
	p.wantRefusal("CONNECT of a user that is not in memory", as("unseen", "u"), unavailable, 3)
	wantCode(t, "publish of a live session", known.Publish("k/1", "", 1, false)&^0x10, success)
	known.Disconnect()
	p.connect(as("known", "k")) // from memory

	rename("users_away", "users")
	p.connect(as("unseen", "u"))
}

func TestFullHashPoolIsBusyNotWrong(t *testing.T) {
	p := launch(t, "--hash-memory", "8192", "--hash-time", "64", "--hash-workers", "1")
	const flood = 300 // one is hashed, 256 may wait
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan struct{}, flood)
	var logins sync.WaitGroup
	defer logins.Wait()
	defer cancel()
	for i := range flood {
		logins.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.urls["http"]+"/api/login",
				strings.NewReader(fmt.Sprintf(`{"username":"nobody-%d","password":"guess"}`, i)))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := p.client.Do(req)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusServiceUnavailable {
				if res.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				refused <- struct{}{}
			}
		})
	}
	<-refused // from here on the pool is full, for as long as one hash takes
	for _, version := range []byte{5, 4} {
		want := map[byte]byte{5: serverBusy, 4: 3}[version]
		wantCode(t, fmt.Sprintf("CONNECT by version %d", version), p.dial(version).Connect(as("nobody", "n")).ReasonCode, want)
	}
}
