package policy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// rounds is how often each change is made: whoever answers early is early by less
// than a millisecond, and not every time.
const rounds = 50

// published is the reason code of a publish, where nobody who listens is success, too.
func published(cl *mqtttest.Client, topic string) byte {
	return cl.Publish(topic, "", 1, false) &^ 0x10
}

func TestAPermissionIsInForceWhenItIsAnswered(t *testing.T) {
	p := rig.Launch(t)
	role := p.Role("sensors")
	p.UserWith("gw1", rig.Object{"roles": []string{role}})
	cl := p.Connect(rig.As("gw1", "gw1"))
	for i := range rounds {
		heard, topic := fmt.Sprintf("a/%d/y", i), fmt.Sprintf("a/%d/x", i)
		added := p.Plainly(http.StatusCreated, "POST", "/roles/"+role+"/permissions", rig.Both(fmt.Sprintf("a/%d/#", i)))
		rig.WantCode(t, "SUBSCRIBE at once", cl.Subscribe(heard, 0), rig.Success)
		rig.WantCode(t, "PUBLISH at once", published(cl, topic), rig.Success)
		p.Plainly(http.StatusOK, "DELETE", strings.TrimPrefix(added.Header.Get("Location"), "/api"), nil)
		rig.WantCode(t, "PUBLISH at once, without it", published(cl, topic), rig.NotAuthorized)
		rig.WantCode(t, "SUBSCRIBE at once, without it", cl.Subscribe(heard, 0), rig.NotAuthorized)
	}
}

func TestARoleIsInForceWhenItIsAnswered(t *testing.T) {
	p := rig.Launch(t)
	role := rig.Object{"roleId": p.Role("sensors", rig.Both("a/#"))}
	user := "/users/" + p.User("gw1")
	cl := p.Connect(rig.As("gw1", "gw1"))
	for range rounds {
		p.Plainly(http.StatusCreated, "POST", user+"/roles", role)
		rig.WantCode(t, "PUBLISH at once", published(cl, "a/1"), rig.Success)
		p.Plainly(http.StatusOK, "DELETE", user+"/roles", role)
		rig.WantCode(t, "PUBLISH at once, without it", published(cl, "a/1"), rig.NotAuthorized)
	}
}

func TestAUserIsOutWhenThatIsAnswered(t *testing.T) {
	p := rig.Launch(t)
	user := "/users/" + p.User("gw1")
	for range rounds {
		session, token := p.Connect(rig.As("gw1", "session")), p.Login("gw1", rig.SecretOf("gw1"))
		other := p.Dial(5)
		p.Plainly(http.StatusOK, "PUT", user, rig.Object{"isActive": false})
		a, err := p.Send("GET", "/api/session", "", "Authorization", "Bearer "+token)
		if err != nil || a.Status != http.StatusUnauthorized {
			t.Errorf("its token, at once: %d, %v", a.Status, err)
		}
		if code := other.Connect(rig.As("gw1", "other")).ReasonCode; code < 0x80 {
			t.Errorf("CONNECT at once: %#02x", code)
		}
		rig.WantCode(t, "DISCONNECT", session.ExpectEnd(), rig.Administrative)
		p.Plainly(http.StatusOK, "PUT", user, rig.Object{"isActive": true})
	}
}

func TestARegistrationIsInForceWhenItIsConfirmed(t *testing.T) {
	p := rig.Launch(t)
	role := p.Role("sensors", rig.Both("a/#"))
	p.Open(time.Hour)
	for i := range rounds {
		name := fmt.Sprintf("device-%d", i)
		a, err := p.Send("POST", "/api/client-registry/register",
			fmt.Sprintf(`{"username": %q, "password": %q, "context": "a test"}`, name, rig.SecretOf(name)), "Content-Type", "application/json")
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("register: %d %s, %v", a.Status, a.Body, err)
		}
		if code := p.Dial(5).Connect(rig.As(name, name)).ReasonCode; code < 0x80 {
			t.Errorf("CONNECT before: %#02x", code)
		}
		cl := p.Dial(5)
		p.Plainly(http.StatusCreated, "POST", "/client-registry/confirm", rig.Object{"username": name, "roles": []string{role}})
		rig.WantCode(t, "CONNECT at once", cl.Connect(rig.As(name, name)).ReasonCode, rig.Success)
		rig.WantCode(t, "PUBLISH at once", published(cl, "a/1"), rig.Success)
		cl.Disconnect()
	}
}
