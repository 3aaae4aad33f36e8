package certificates

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestCertificatesSignIn(t *testing.T) {
	k := rig.NewPKI(t)
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"), "--tls-client-ca", k.Path("ca.crt"))
	certificate := []rig.Object{{"method": "certificate"}}
	p.UserWith("named", rig.Object{"grantTypes": certificate, "initialPermissions": []rig.Object{rig.Both("n/#")}})
	pinned := p.UserWith("pinned", rig.Object{"grantTypes": certificate})
	p.UserWith("by-password", rig.Object{"grantTypes": []rig.Object{{"method": "password"}}})
	twice := p.UserWith("twice", rig.Object{"grantTypes": []rig.Object{
		{"method": "certificate", "isRequired": true}, {"method": "password", "isRequired": true},
	}})
	k.Issue("named", "/CN=named")
	k.Issue("pinned-by-ca", "/CN=pinned")
	k.Issue("by-password", "/CN=by-password")
	k.Issue("stranger", "/CN=nobody-knows")
	k.Make("pinned", "/CN=any name")
	k.Make("twice", "/CN=twice")
	k.Make("forged", "/CN=named")
	p.Must(http.StatusCreated, "POST", "/users/"+pinned+"/certificates", rig.Object{"fingerprint": k.Fingerprint("pinned")})
	p.Must(http.StatusCreated, "POST", "/users/"+twice+"/certificates", rig.Object{"fingerprint": strings.ToLower(strings.ReplaceAll(k.Fingerprint("twice"), ":", ""))})

	nobody := mqtttest.Connect{ClientID: "c"}
	for _, tt := range []struct {
		name    string
		cert    string
		connect mqtttest.Connect
		v5, v3  byte
	}{
		{"a trusted certificate signs in by its common name", "named", nobody, rig.Success, 0},
		{"naming the user besides", "named", mqtttest.Connect{ClientID: "c", Username: "named"}, rig.Success, 0},
		{"a registered one that signed itself signs in", "pinned", nobody, rig.Success, 0},
		{"a user with a registered one has no other", "pinned-by-ca", nobody, rig.NotAuthorized, 5},
		{"one that signed itself is worth nothing by its name", "forged", nobody, rig.NotAuthorized, 5},
		{"nor with the user named besides", "forged", mqtttest.Connect{ClientID: "c", Username: "named"}, rig.NotAuthorized, 5},
		{"a trusted one of nobody", "stranger", nobody, rig.NotAuthorized, 5},
		{"a user without that grant type", "by-password", nobody, rig.NotAuthorized, 5},
		{"that user with the password", "by-password", rig.As("by-password", "c"), rig.Success, 0},
		{"another user's name", "pinned", mqtttest.Connect{ClientID: "c", Username: "named"}, rig.NotAuthorized, 5},
		{"no certificate and no password", "", nobody, rig.BadCredentials, 4},
		{"one of two that are required", "twice", nobody, rig.NotAuthorized, 5},
		{"the other of them", "", rig.As("twice", "c"), rig.NotAuthorized, 5},
		{"both of them", "twice", rig.As("twice", "c"), rig.Success, 0},
		{"both, and the password is wrong", "twice", mqtttest.Connect{ClientID: "c", Username: "twice", Password: "wrong"}, rig.BadCredentials, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for version, want := range map[byte]byte{5: tt.v5, 4: tt.v3} {
				k := k.At(t)                   // so that the connection ends with this test
				tt.connect.ClientID = t.Name() // nobody else's
				tt.connect.ClientID = strings.ReplaceAll(tt.connect.ClientID, "/", "-")
				rig.WantCode(t, "CONNACK", k.Dial(p, version, tt.cert).Connect(tt.connect).ReasonCode, want)
			}
		})
	}
}

func TestRemovedCertificateEndsItsSession(t *testing.T) {
	k := rig.NewPKI(t)
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"))
	for _, name := range []string{"one", "other"} {
		k.Make(name, "/CN="+name)
	}
	id := p.UserWith("gw1", rig.Object{"initialPermissions": []rig.Object{rig.Both("a/#")}, "certificates": []rig.Object{
		{"fingerprint": k.Fingerprint("one")}, {"fingerprint": k.Fingerprint("other")},
	}, "grantTypes": []rig.Object{{"method": "certificate"}}})
	ops := p.Connect(mqtttest.Connect{ClientID: "ops", Username: "admin", Password: rig.AdminPassword})
	ops.MustSubscribe("#", 1)
	one, other := k.Dial(p, 5, "one"), k.Dial(p, 5, "other")
	one.MustConnect(mqtttest.Connect{ClientID: "one", Will: &mqtttest.Will{Topic: "a/will", Payload: "gone"}})
	other.MustConnect(mqtttest.Connect{ClientID: "other"})

	p.Must(http.StatusOK, "DELETE", "/users/"+id+"/certificates", rig.Object{"fingerprint": k.Fingerprint("one")})
	rig.WantCode(t, "DISCONNECT", one.ExpectEnd(), rig.Administrative)
	rig.WantCode(t, "CONNECT with it", k.Dial(p, 5, "one").Connect(mqtttest.Connect{ClientID: "one"}).ReasonCode, rig.NotAuthorized)
	rig.WantCode(t, "the other session's publish", other.Publish("a/1", "", 1, false), rig.Success)
	ops.ExpectMessage("a/1") // and no will before it
}

// A certificate signs in, or does not any more, as soon as that is answered.
func TestACertificateIsInForceWhenItIsAnswered(t *testing.T) {
	k := rig.NewPKI(t)
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"))
	k.Make("gw1", "/CN=gw1")
	certificates := "/users/" + p.UserWith("gw1", rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}}) + "/certificates"
	fingerprint := rig.Object{"fingerprint": k.Fingerprint("gw1")}
	for range 50 {
		session, other := k.Dial(p, 5, "gw1"), k.Dial(p, 5, "gw1")
		p.Plainly(http.StatusCreated, "POST", certificates, fingerprint)
		rig.WantCode(t, "CONNECT at once", session.Connect(mqtttest.Connect{ClientID: "gw1"}).ReasonCode, rig.Success)
		p.Plainly(http.StatusOK, "DELETE", certificates, fingerprint)
		rig.WantCode(t, "CONNECT at once, when it is removed", other.Connect(mqtttest.Connect{ClientID: "gw2"}).ReasonCode, rig.NotAuthorized)
		rig.WantCode(t, "DISCONNECT", session.ExpectEnd(), rig.Administrative)
	}
}
