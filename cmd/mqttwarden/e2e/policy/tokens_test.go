package policy

import (
	"net/http"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// bearer returns what the API answers to who shows a token.
func (l live) bearer(token, method, path, body string) rig.Answer {
	l.TB.Helper()
	a, err := l.Send(method, "/api"+path, body, "Authorization", "Bearer "+token, "Content-Type", "application/json", "Prefer", "wait=10")
	if err != nil {
		l.TB.Fatal(err)
	}
	return a
}

// A token stands for a sign-in: it ends when its user can't sign in like that any
// more, over HTTP, in a connected session and in a stored one. What ended it may pass.
func TestATokenEndsWithWhatItRestsOn(t *testing.T) {
	grants := func(g ...rig.Object) rig.Object { return rig.Object{"grantTypes": append([]rig.Object{}, g...)} }
	password, token := rig.Object{"method": "password"}, rig.Object{"method": "token"}
	for _, tt := range []struct {
		name    string
		changes []rig.Object
	}{
		{"no grant types are left", []rig.Object{grants()}},
		{"no grant types are left for a while", []rig.Object{grants(), grants(password, token)}},
		{"the password grant is taken", []rig.Object{grants(token)}},
		{"a certificate is required", []rig.Object{grants(password, token, rig.Object{"method": "certificate", "isRequired": true})}},
		{"an administrator sets the password", []rig.Object{{"password": "quite another"}}},
		{"an administrator sets the same password", []rig.Object{{"password": rig.SecretOf("gw1")}}},
		{"the user is disabled", []rig.Object{{"isActive": false}}},
		{"the user is disabled and enabled again", []rig.Object{{"isActive": false}, {"isActive": true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLive(rig.Launch(t), "gw1", "")
			if a := l.bearer(l.stored.Password, "GET", "/session", ""); a.Status != http.StatusOK {
				t.Fatalf("the token before: %d %s", a.Status, a.Body)
			}
			for _, change := range tt.changes {
				l.Must(http.StatusOK, "PUT", "/users/"+l.id, change)
			}
			if a := l.bearer(l.stored.Password, "GET", "/session", ""); a.Status != http.StatusUnauthorized {
				t.Errorf("over HTTP the token gets %d, want 401", a.Status)
			}
			rig.WantCode(t, "DISCONNECT", l.session.ExpectEnd(), rig.Administrative)
			if n := l.Metric("mqttwarden_mqtt_sessions_stored"); n != 0 {
				t.Errorf("%v sessions stored, want none", n)
			}
			if code := l.Dial(5).Connect(l.stored).ReasonCode; code < 0x80 {
				t.Errorf("CONNECT as before: %#02x, want a refusal", code)
			}
		})
	}
}

// What does not bear on how a user signs in ends no token, and who changes their own
// password keeps the token that they do it with.
func TestATokenGoesOn(t *testing.T) {
	l := newLive(rig.Launch(t), "gw1", "")
	l.Must(http.StatusCreated, "POST", "/roles/"+l.role+"/permissions", rig.Object{"context": "http", "operation": "write", "resource": "/api/users/change-password"})
	other := l.Login("gw1", rig.SecretOf("gw1"))
	for _, change := range []rig.Object{
		{"mqttPublishPrefix": "x/"},
		{"grantTypes": []rig.Object{{"method": "password"}, {"method": "token"}, {"method": "certificate"}}},
	} {
		l.Must(http.StatusOK, "PUT", "/users/"+l.id, change)
	}
	if a := l.bearer(other, "GET", "/session", ""); a.Status != http.StatusOK {
		t.Errorf("after other changes: %d %s", a.Status, a.Body)
	}
	own := l.stored.Password
	if a := l.bearer(own, "PUT", "/users/change-password", `{"password": "`+rig.SecretOf("gw1")+`", "newPassword": "my-new-one"}`); a.Status/100 != 2 {
		t.Fatalf("change the password: %d %s", a.Status, a.Body)
	}
	if a := l.bearer(own, "GET", "/session", ""); a.Status != http.StatusOK {
		t.Errorf("the token that it was done with: %d %s", a.Status, a.Body)
	}
	if a := l.bearer(other, "GET", "/session", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("the other token: %d, want 401", a.Status)
	}
	l.session.Ping()
	if code := l.Dial(5).Connect(l.stored).ReasonCode; code != rig.Success {
		t.Errorf("the stored session with the token: %#02x", code)
	}
}
