package policy

import (
	"net/http"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// The rules that must hold everywhere, through the whole program, with a client
// library by others.

func TestNothingIsAllowedUnlessGranted(t *testing.T) {
	p := rig.Launch(t)
	p.User("nobody")
	p.User("gw1", rig.Both("site1/#"), rig.Deny(rig.Writes("site1/valve")))

	_, code := p.Device("", "anonymous", func(c *paho.Connect) { c.UsernameFlag, c.PasswordFlag = false, false })
	rig.WantCode(t, "CONNECT without a user", code, rig.BadCredentials)

	nobody := p.MustDevice("nobody", "n", nil)
	nobody.Send(rig.NotAuthorized, "site1/temp", "1")
	nobody.Listen(rig.NotAuthorized, "site1/temp")

	gw := p.MustDevice("gw1", "g", nil)
	gw.Listen(1, "site1/#")
	gw.Send(rig.NotAuthorized, "site1/valve", "open") // a deny beats any allow
	gw.Send(rig.NotAuthorized, "site10/temp", "1")    // site1/# is not site10
	gw.Send(rig.Success, "site1/temp", "20")
	gw.Hears("site1/temp", "20")
}

func TestPrefixComesFirstThePolicySecond(t *testing.T) {
	p := rig.Launch(t)
	p.UserWith("gw1", rig.Object{"mqttPublishPrefix": "site1/", "initialPermissions": []rig.Object{
		rig.Writes("site1/temp"), rig.Writes("site1/state"), rig.Reads("temp"), rig.Reads("site1/answer"),
	}})
	p.UserWith("gw2", rig.Object{"mqttPublishPrefix": "line", "initialPermissions": []rig.Object{rig.Writes("line7/temp")}})
	p.User("ops", rig.Reads("#"))
	ops := p.MustDevice("ops", "o", nil)
	ops.Listen(1, "#")

	gw := p.MustDevice("gw1", "g", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "state", Payload: []byte("offline"), QoS: 1}
	})
	gw.SendPacket(rig.Success, &paho.Publish{
		Topic: "temp", Payload: []byte("20"), QoS: 1, Retain: true,
		Properties: &paho.PublishProperties{ResponseTopic: "answer"},
	})
	if m := ops.Hears("site1/temp", "20"); m.Properties.ResponseTopic != "answer" {
		t.Errorf("response topic %q, want it untouched", m.Properties.ResponseTopic)
	}
	gw.Send(rig.NotAuthorized, "site1/temp", "21") // it is site1/site1/temp that is judged
	gw.Listen(1, "temp")                           // a subscription gets no prefix
	gw.Listen(rig.NotAuthorized, "site1/temp")

	p.MustDevice("gw2", "g2", nil).Send(rig.Success, "7/temp", "30") // as it is: no slash is added
	ops.Hears("line7/temp", "30")

	if err := gw.Disconnect(&paho.Disconnect{ReasonCode: 0x04}); err != nil { // with will
		t.Fatal(err)
	}
	ops.Hears("site1/state", "offline")

	late := p.MustDevice("ops", "late", nil)
	late.Listen(1, "#")
	late.Hears("site1/temp", "20") // retained under its whole topic
}

func TestSubscriptionNeedsOneGrantThatCoversIt(t *testing.T) {
	p := rig.Launch(t)
	p.User("wide", rig.Both("a/+/c"), rig.Both("d/#"), rig.Deny(rig.Both("d/secret")), rig.Both("#"), rig.Deny(rig.Reads("e/#")))
	p.User("reader", rig.Reads("a/+/c"), rig.Reads("b/1"), rig.Reads("b/2"))
	reader := p.MustDevice("reader", "r", nil)
	for _, s := range []struct {
		filter string
		want   byte
	}{
		{"a/+/c", 1},
		{"a/b/c", 1},
		{"$share/group/a/+/c", 1},
		{"a/#", rig.NotAuthorized},
		{"a/+/+", rig.NotAuthorized},
		{"#", rig.NotAuthorized},
		{"b/+", rig.NotAuthorized}, // two grants together are not one
		{"$share/group/a/#", rig.NotAuthorized},
		{"$SHARE/group/a/#", rig.NotAuthorized},
	} {
		reader.Listen(s.want, s.filter)
	}

	wide := p.MustDevice("wide", "w", nil)
	wide.Listen(1, "#") // it merely overlaps a deny: the deliveries are judged
	wide.Listen(rig.NotAuthorized, "e/#")
	wide.Listen(rig.NotAuthorized, "$SYS/#") // # covers no level that begins with $
	admin := p.MustDevice("admin", "adm", func(c *paho.Connect) { c.Password = []byte(rig.AdminPassword) })
	admin.Send(rig.Success, "e/1", "hidden")
	admin.Send(rig.Success, "d/secret", "hidden")
	admin.Send(rig.Success, "d/open", "shown")
	wide.Hears("d/open", "shown")
}

func TestClientIDBelongsToTheUserOfItsSession(t *testing.T) {
	p := rig.Launch(t, "--limits-stored-sessions", "2")
	p.User("alice", rig.Both("a/#"))
	p.User("mallory", rig.Both("#"))
	alice := p.MustDevice("alice", "shared-id", nil)
	alice.Listen(1, "a/#")

	_, code := p.Device("mallory", "shared-id", nil)
	rig.WantCode(t, "another user's CONNECT", code, rig.BadClientID)
	rig.WantCode(t, "the same by MQTT 3.1.1", p.Dial(4).Connect(rig.As("mallory", "shared-id")).ReasonCode, 2)
	alice.Send(rig.Success, "a/1", "still here")
	alice.Hears("a/1", "still here")

	again := p.MustDevice("alice", "shared-id", nil) // a takeover by the same user
	alice.Ends(rig.TakenOver)
	again.Send(rig.Success, "a/1", "here now")

	stay := func(c *paho.Connect) { c.Properties = &paho.ConnectProperties{SessionExpiryInterval: new(uint32(600))} }
	for _, id := range []string{"kept-1", "kept-2"} {
		if err := p.MustDevice("alice", id, stay).Disconnect(&paho.Disconnect{}); err != nil {
			t.Fatal(err)
		}
	}
	_, code = p.Device("alice", "kept-3", stay)
	rig.WantCode(t, "one stored session too many", code, rig.QuotaExceeded)
	_, code = p.Device("mallory", "kept-1", nil)
	rig.WantCode(t, "the ID of another user's stored session", code, rig.BadClientID)

	p.UserWith("bound", rig.Object{"clientIds": []string{"exact", "${username}-+"}})
	for id, want := range map[string]byte{"exact": rig.Success, "bound-1": rig.Success, "bound-": rig.BadClientID, "other": rig.BadClientID} {
		_, code := p.Device("bound", id, nil)
		rig.WantCode(t, "CONNECT as "+id, code, want)
	}
}

// TestRightsChangeUnderALiveSession is the promise of the product in one test:
// what an operator changes reaches sessions that are already connected.
func TestRightsChangeUnderALiveSession(t *testing.T) {
	p := rig.Launch(t)
	site1, site2 := p.Role("site1", rig.Both("site1/#")), p.Role("site2", rig.Both("site2/#"))
	gw1 := p.UserWith("gw1", rig.Object{"roles": []string{site1}, "initialPermissions": []rig.Object{rig.Writes("+/state")}})
	p.User("ops", rig.Reads("#"))
	ops := p.MustDevice("ops", "o", nil)
	ops.Listen(1, "#")
	gw := p.MustDevice("gw1", "g", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "site2/state", Payload: []byte("offline"), QoS: 1}
	})
	gw.Listen(1, "site1/#")
	gw.Send(rig.Success, "site1/temp", "1")
	ops.Hears("site1/temp", "1")
	gw.Hears("site1/temp", "1")

	p.Must(http.StatusOK, "PUT", "/users/"+gw1, rig.Object{"roles": []string{site2}})
	gw.Send(rig.NotAuthorized, "site1/temp", "2")
	gw.Listen(1, "site2/#")
	gw.Send(rig.Success, "site2/temp", "3")
	ops.Hears("site2/temp", "3")
	gw.Hears("site2/temp", "3")

	p.Must(http.StatusOK, "PUT", "/users/"+gw1, rig.Object{"isActive": false})
	gw.Ends(rig.Administrative)
	admin := p.MustDevice("admin", "adm", func(c *paho.Connect) { c.Password = []byte(rig.AdminPassword) })
	admin.Send(rig.Success, "end", "of test")
	ops.Hears("end", "of test") // and no will before it
}
