package main

import (
	"net/http"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// The rules that must hold everywhere, through the whole program, with a client
// library by others.

func TestNothingIsAllowedUnlessGranted(t *testing.T) {
	p := launch(t)
	p.user("nobody")
	p.user("gw1", both("site1/#"), deny(writes("site1/valve")))

	_, code := p.device("", "anonymous", func(c *paho.Connect) { c.UsernameFlag, c.PasswordFlag = false, false })
	wantCode(t, "CONNECT without a user", code, badCredentials)

	nobody := p.mustDevice("nobody", "n", nil)
	nobody.send(notAuthorized, "site1/temp", "1")
	nobody.listen(notAuthorized, "site1/temp")

	gw := p.mustDevice("gw1", "g", nil)
	gw.listen(1, "site1/#")
	gw.send(notAuthorized, "site1/valve", "open") // a deny beats any allow
	gw.send(notAuthorized, "site10/temp", "1")    // site1/# is not site10
	gw.send(success, "site1/temp", "20")
	gw.hears("site1/temp", "20")
}

func TestPrefixComesFirstThePolicySecond(t *testing.T) {
	p := launch(t)
	p.userWith("gw1", object{"mqttPublishPrefix": "site1/", "initialPermissions": []object{
		writes("site1/temp"), writes("site1/state"), reads("temp"), reads("site1/answer"),
	}})
	p.userWith("gw2", object{"mqttPublishPrefix": "line", "initialPermissions": []object{writes("line7/temp")}})
	p.user("ops", reads("#"))
	ops := p.mustDevice("ops", "o", nil)
	ops.listen(1, "#")

	gw := p.mustDevice("gw1", "g", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "state", Payload: []byte("offline"), QoS: 1}
	})
	gw.sendPacket(success, &paho.Publish{
		Topic: "temp", Payload: []byte("20"), QoS: 1, Retain: true,
		Properties: &paho.PublishProperties{ResponseTopic: "answer"},
	})
	if m := ops.hears("site1/temp", "20"); m.Properties.ResponseTopic != "answer" {
		t.Errorf("response topic %q, want it untouched", m.Properties.ResponseTopic)
	}
	gw.send(notAuthorized, "site1/temp", "21") // it is site1/site1/temp that is judged
	gw.listen(1, "temp")                       // a subscription gets no prefix
	gw.listen(notAuthorized, "site1/temp")

	p.mustDevice("gw2", "g2", nil).send(success, "7/temp", "30") // as it is: no slash is added
	ops.hears("line7/temp", "30")

	if err := gw.Disconnect(&paho.Disconnect{ReasonCode: 0x04}); err != nil { // with will
		t.Fatal(err)
	}
	ops.hears("site1/state", "offline")

	late := p.mustDevice("ops", "late", nil)
	late.listen(1, "#")
	late.hears("site1/temp", "20") // retained under its whole topic
}

func TestSubscriptionNeedsOneGrantThatCoversIt(t *testing.T) {
	p := launch(t)
	p.user("wide", both("a/+/c"), both("d/#"), deny(both("d/secret")), both("#"), deny(reads("e/#")))
	p.user("reader", reads("a/+/c"), reads("b/1"), reads("b/2"))
	reader := p.mustDevice("reader", "r", nil)
	for _, s := range []struct {
		filter string
		want   byte
	}{
		{"a/+/c", 1},
		{"a/b/c", 1},
		{"$share/group/a/+/c", 1},
		{"a/#", notAuthorized},
		{"a/+/+", notAuthorized},
		{"#", notAuthorized},
		{"b/+", notAuthorized}, // two grants together are not one
		{"$share/group/a/#", notAuthorized},
		{"$SHARE/group/a/#", notAuthorized},
	} {
		reader.listen(s.want, s.filter)
	}

	wide := p.mustDevice("wide", "w", nil)
	wide.listen(1, "#") // it merely overlaps a deny: the deliveries are judged
	wide.listen(notAuthorized, "e/#")
	wide.listen(notAuthorized, "$SYS/#") // # covers no level that begins with $
	admin := p.mustDevice("admin", "adm", func(c *paho.Connect) { c.Password = []byte(adminPassword) })
	admin.send(success, "e/1", "hidden")
	admin.send(success, "d/secret", "hidden")
	admin.send(success, "d/open", "shown")
	wide.hears("d/open", "shown")
}

func TestClientIDBelongsToTheUserOfItsSession(t *testing.T) {
	p := launch(t, "--limits-stored-sessions", "2")
	p.user("alice", both("a/#"))
	p.user("mallory", both("#"))
	alice := p.mustDevice("alice", "shared-id", nil)
	alice.listen(1, "a/#")

	_, code := p.device("mallory", "shared-id", nil)
	wantCode(t, "another user's CONNECT", code, badClientID)
	wantCode(t, "the same by MQTT 3.1.1", p.dial(4).Connect(as("mallory", "shared-id")).ReasonCode, 2)
	alice.send(success, "a/1", "still here")
	alice.hears("a/1", "still here")

	again := p.mustDevice("alice", "shared-id", nil) // her own takeover
	alice.ends(takenOver)
	again.send(success, "a/1", "here now")

	stay := func(c *paho.Connect) { c.Properties = &paho.ConnectProperties{SessionExpiryInterval: new(uint32(600))} }
	for _, id := range []string{"kept-1", "kept-2"} {
		if err := p.mustDevice("alice", id, stay).Disconnect(&paho.Disconnect{}); err != nil {
			t.Fatal(err)
		}
	}
	_, code = p.device("alice", "kept-3", stay)
	wantCode(t, "one stored session too many", code, quotaExceeded)
	_, code = p.device("mallory", "kept-1", nil)
	wantCode(t, "the ID of another user's stored session", code, badClientID)

	p.userWith("bound", object{"clientIds": []string{"exact", "${username}-+"}})
	for id, want := range map[string]byte{"exact": success, "bound-1": success, "bound-": badClientID, "other": badClientID} {
		_, code := p.device("bound", id, nil)
		wantCode(t, "CONNECT as "+id, code, want)
	}
}

// TestRightsChangeUnderALiveSession is the promise of the product in one test:
// what an operator changes reaches sessions that are already connected.
func TestRightsChangeUnderALiveSession(t *testing.T) {
	p := launch(t)
	site1, site2 := p.role("site1", both("site1/#")), p.role("site2", both("site2/#"))
	gw1 := p.userWith("gw1", object{"roles": []string{site1}, "initialPermissions": []object{writes("+/state")}})
	p.user("ops", reads("#"))
	ops := p.mustDevice("ops", "o", nil)
	ops.listen(1, "#")
	gw := p.mustDevice("gw1", "g", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "site2/state", Payload: []byte("offline"), QoS: 1}
	})
	gw.listen(1, "site1/#")
	gw.send(success, "site1/temp", "1")
	ops.hears("site1/temp", "1")
	gw.hears("site1/temp", "1")

	p.must(http.StatusOK, "PUT", "/users/"+gw1, object{"roles": []string{site2}})
	gw.send(notAuthorized, "site1/temp", "2")
	gw.listen(1, "site2/#")
	gw.send(success, "site2/temp", "3")
	ops.hears("site2/temp", "3")
	gw.hears("site2/temp", "3")

	p.must(http.StatusOK, "PUT", "/users/"+gw1, object{"isActive": false})
	gw.ends(administrative)
	admin := p.mustDevice("admin", "adm", func(c *paho.Connect) { c.Password = []byte(adminPassword) })
	admin.send(success, "end", "of test")
	ops.hears("end", "of test") // and no will before it
}
