package restart

import (
	"net/http"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Mochi's own stores bring a denied subscription back as one that is active.
func TestADeniedSubscriptionIsNotActiveAfterARestart(t *testing.T) {
	t.Parallel()
	for _, version := range some([]byte{4, 5}) {
		p := keeper(rig.Spawn(t, rig.UsedDir(t)))
		id := p.User("alice", rig.Reads("a/#"))
		cl := p.Dial(version)
		cl.MustConnect(lasting("alice", "alice"))
		cl.MustSubscribe("a/#", 1)
		if code := cl.Subscribe("secret/#", 1); code < 0x80 {
			t.Fatalf("SUBACK %#02x", code)
		}
		cl.Disconnect()
		written(p)
		p.Kill()
		p = rig.LaunchIn(t, p.Dir)
		// Allowed by now: only a new SUBSCRIBE makes it a subscription.
		p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"roles": []string{p.Role("more", rig.Reads("#"))}})
		source(p, "secret/1", 1, 1)
		source(p, "a/1", 1, 1)
		back(p, version, lasting("alice", "alice")).ExpectMessage("a/1")
	}
}

// What is revoked after the last commit, or while nothing is committed, acts at
// the next start all the same.
func TestWhatWasRevokedIsNotThereAfterARestart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		revoke func(p *rig.Program, id string)
		free   bool // another user may have the client ID
		back   func(p *rig.Program, id string) mqtttest.Connect
	}{
		{"user deleted", func(p *rig.Program, id string) {
			p.Must(http.StatusOK, "DELETE", "/users/"+id, nil)
		}, true, func(p *rig.Program, _ string) mqtttest.Connect {
			p.User("alice", rig.Reads("#"))
			return lasting("alice", "alice")
		}},
		{"user disabled", func(p *rig.Program, id string) {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"isActive": false})
		}, true, func(p *rig.Program, id string) mqtttest.Connect {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"isActive": true})
			return lasting("alice", "alice")
		}},
		{"password changed", func(p *rig.Program, id string) {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"password": "quite another"})
		}, true, func(*rig.Program, string) mqtttest.Connect {
			c := lasting("alice", "alice")
			c.Password = "quite another"
			return c
		}},
		{"client ID not in the list any more", func(p *rig.Program, id string) {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"clientIds": []string{"other"}})
		}, true, func(p *rig.Program, id string) mqtttest.Connect {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"clientIds": []string{"alice"}})
			return lasting("alice", "alice")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, id := revoked(t, tt.revoke)
			if n := p.Metric("mqttwarden_mqtt_sessions_stored"); n != 0 {
				t.Errorf("%v sessions are restored", n)
			}
			if n := p.Metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
				t.Errorf("%v messages still wait", n)
			}
			if n := p.Metric("mqttwarden_mqtt_subscriptions"); n != 0 {
				t.Errorf("%v subscriptions are left", n)
			}
			cl := p.Dial(5)
			if ack := cl.Connect(rig.As("source", "alice")); (ack.ReasonCode == rig.Success) != tt.free {
				t.Errorf("another user with the client ID: CONNACK %#02x", ack.ReasonCode)
			}
			cl.Disconnect()
			p.Reaches("mqttwarden_mqtt_clients", 0)
			cl = p.Dial(5)
			if cl.MustConnect(tt.back(p, id)).SessionPresent {
				t.Error("the session is there")
			}
			cl.Ping() // and nothing comes
			// It is gone from the file, too.
			cl.Disconnect()
			written(p)
			p.Kill()
			p = rig.LaunchIn(t, p.Dir)
			if n := p.Metric("mqttwarden_mqtt_inflight_messages"); n != 0 {
				t.Errorf("%v messages are back after another restart", n)
			}
		})
	}
	t.Run("right removed", func(t *testing.T) {
		t.Parallel()
		p, _ := revoked(t, func(p *rig.Program, id string) {
			p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"roles": []string{p.Role("less", rig.Reads("a/#"))}})
		})
		if ack := p.Dial(5).Connect(rig.As("source", "alice")); ack.ReasonCode != rig.BadClientID {
			t.Errorf("another user with the client ID: CONNACK %#02x, want %#02x", ack.ReasonCode, rig.BadClientID)
		}
		source(p, "secret/2", 1, 1)
		source(p, "a/2", 1, 1)
		cl := back(p, 5, lasting("alice", "alice"))
		cl.ExpectMessage("a/1")
		cl.ExpectMessage("a/2")
		cl.Ping()
	})
}

// revoked lets messages wait for alice in a/1 and secret/1, writes that to disk,
// and kills the program after alice has lost something, before that is written.
func revoked(t *testing.T, revoke func(p *rig.Program, id string)) (p *rig.Program, id string) {
	t.Helper()
	p = keeper(rig.LaunchIn(t, rig.UsedDir(t)))
	role := p.Role("reader", rig.Reads("a/#"), rig.Reads("secret/#"))
	id = p.UserWith("alice", rig.Object{"roles": []string{role}})
	away(p, 5, lasting("alice", "alice"), "a/#", "secret/#")
	source(p, "a/1", 1, 1)
	source(p, "secret/1", 1, 2)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = rig.Spawn(t, p.Dir, "--sessions-flush", "1m")
	if n := p.Metric("mqttwarden_mqtt_inflight_messages"); n != 2 {
		t.Fatalf("%v messages wait, want 2", n)
	}
	revoke(p, id)
	p.Kill()
	return rig.Spawn(t, p.Dir), id
}
