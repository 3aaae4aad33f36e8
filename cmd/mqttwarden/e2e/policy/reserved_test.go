package policy

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// persistent is a CONNECT whose session outlives its connection.
func persistent(name, clientID string) mqtttest.Connect {
	c := rig.As(name, clientID)
	c.Resume, c.Expiry = true, 600
	return c
}

func TestReservedClientIDRefusesOthers(t *testing.T) {
	p := rig.Launch(t)
	p.UserWith("device", rig.Object{"clientIds": []string{"dev-4712", "own-${username}", "gw-+"}})
	p.User("mallory")
	for _, id := range []string{"dev-4712", "own-device"} {
		for version, want := range map[byte]byte{4: 2, 5: rig.BadClientID} {
			cl := p.Dial(version)
			rig.WantCode(t, "another user's CONNECT as "+id, cl.Connect(rig.As("mallory", id)).ReasonCode, want)
		}
		p.Connect(rig.As("device", id))
	}
	p.Connect(rig.As("mallory", "gw-1")) // a pattern reserves nothing
	for _, want := range []string{"reserved for user device", "mallory", "dev-4712"} {
		if !strings.Contains(p.Log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, p.Log)
		}
	}
}

func TestReservationEndsAnothersSession(t *testing.T) {
	for _, live := range []bool{true, false} {
		p := rig.Launch(t)
		device := p.User("device", rig.Reads("a/#"))
		p.User("mallory", rig.Both("a/#"))
		holder := p.Connect(persistent("mallory", "dev-1"))
		holder.MustSubscribe("a/#", 1)
		if !live {
			holder.Disconnect()
			p.Reaches("mqttwarden_mqtt_sessions_stored", 1)
		}
		rig.WantCode(t, "CONNECT while another user has a session", p.Dial(5).Connect(rig.As("device", "dev-1")).ReasonCode, rig.BadClientID)
		if !strings.Contains(p.Log.String(), "user mallory has a session with it") {
			t.Errorf("the log does not name who has the client ID:\n%s", p.Log)
		}

		p.Must(http.StatusOK, "PUT", "/users/"+device, rig.Object{"clientIds": []string{"dev-1"}})
		if live {
			rig.WantCode(t, "DISCONNECT", holder.ExpectEnd(), rig.Administrative)
		}
		cl := p.Dial(5)
		if ack := cl.MustConnect(persistent("device", "dev-1")); ack.SessionPresent {
			t.Errorf("live %t: the user got another one's session", live)
		}
		rig.WantCode(t, "CONNECT of who had it", p.Dial(5).Connect(rig.As("mallory", "dev-1")).ReasonCode, rig.BadClientID)
	}
}

func TestReservationIsGivenUp(t *testing.T) {
	p := rig.Launch(t)
	p.User("other")
	give := rig.Object{"clientIds": []string{"dev-1", "${username}"}}
	for name, free := range map[string]func(id string){
		"entry taken out": func(id string) { p.Must(200, "PUT", "/users/"+id, rig.Object{"clientIds": []string{"dev-2"}}) },
		"user deleted":    func(id string) { p.Must(200, "DELETE", "/users/"+id, nil) },
	} {
		id := p.UserWith("device", give)
		free(id)
		for _, clientID := range []string{"dev-1", "device"} {
			if ack := p.Dial(5).Connect(rig.As("other", clientID)); ack.ReasonCode != 0 {
				t.Errorf("%s: CONNACK %#02x for %s", name, ack.ReasonCode, clientID)
			}
		}
		if name == "entry taken out" {
			p.Must(200, "DELETE", "/users/"+id, nil)
		}
	}
	id := p.UserWith("device", give)
	p.Must(200, "PUT", "/users/"+id, rig.Object{"username": "renamed"})
	rig.WantCode(t, "the new name", p.Dial(5).Connect(rig.As("other", "renamed")).ReasonCode, rig.BadClientID)
	rig.WantCode(t, "the old name", p.Dial(5).Connect(rig.As("other", "device")).ReasonCode, rig.Success)
}

func TestReservationsHoldAfterARestart(t *testing.T) {
	p := rig.Launch(t)
	p.UserWith("device", rig.Object{"clientIds": []string{"dev-1"}})
	p.User("mallory")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = rig.LaunchIn(t, p.Dir)
	rig.WantCode(t, "CONNECT", p.Dial(5).Connect(rig.As("mallory", "dev-1")).ReasonCode, rig.BadClientID)
	if got := p.Metric("mqttwarden_reserved_client_ids"); got != 1 {
		t.Errorf("%v reserved client IDs, want 1", got)
	}
}

func TestClientIDIsReservedOnce(t *testing.T) {
	p := rig.Launch(t)
	p.UserWith("device", rig.Object{"clientIds": []string{"dev-1"}})
	second := p.User("second")
	reserve := rig.Object{"clientIds": []string{"x", "dev-1"}}
	a := p.Must(http.StatusConflict, "PUT", "/users/"+second, reserve)
	for _, want := range []string{"clientIds", "dev-1", "device"} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("the answer does not name %s: %s", want, a.Body)
		}
	}
	p.User("clerk", writesUsers("readWrite", "/api/users/"+second))
	body, err := json.Marshal(reserve)
	if err != nil {
		t.Fatal(err)
	}
	a, err = p.Send("PUT", "/api/users/"+second, string(body), "Content-Type", "application/json",
		"Authorization", "Bearer "+p.Login("clerk", rig.SecretOf("clerk")))
	if err != nil || a.Status != http.StatusConflict || strings.Contains(a.Body, "device") || !strings.Contains(a.Body, "dev-1") {
		t.Errorf("who may not read the other user is told %d %s, %v", a.Status, a.Body, err)
	}
}

func writesUsers(operation, path string) rig.Object {
	return rig.Object{"resource": path, "operation": operation, "context": "http"}
}

func TestTwoReserveAClientIDAtOnce(t *testing.T) {
	p := rig.Launch(t)
	ids := []string{p.User("one"), p.User("two")}
	var wg sync.WaitGroup
	status := make([]int, len(ids))
	for i, id := range ids {
		wg.Go(func() {
			a, err := p.Do("PUT", "/users/"+id, rig.Object{"clientIds": []string{"dev-1"}})
			if err != nil {
				t.Error(err)
			}
			status[i] = a.Status
		})
	}
	wg.Wait()
	if status[0]+status[1] != http.StatusOK+http.StatusConflict {
		t.Errorf("got %v, want one 200 and one 409", status)
	}
}
