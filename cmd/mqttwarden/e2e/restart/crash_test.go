package restart

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// acknowledged is a user that the API said it has made, and what for.
type acknowledged struct{ user, role, topic string }

// TestKillLosesNothingThatWasAcknowledged kills the program while it is written
// to, and looks for all that it has ever acknowledged.
func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- when to kill
	p := rig.Spawn(t, rig.UsedDir(t))
	p.AsAdmin()
	var all []acknowledged
	for round := range rounds {
		kept := make(chan acknowledged)
		var writers sync.WaitGroup
		for w := range 2 {
			writers.Go(func() { write(p, fmt.Sprintf("r%d-w%d", round, w), kept) })
		}
		for range 1 + chance.IntN(12) {
			all = append(all, <-kept)
		}
		killed := make(chan struct{})
		go func() { // writers find out by themselves
			p.Kill()
			writers.Wait()
			close(killed)
		}()
		for more := true; more; {
			select {
			case a := <-kept: // its answer was under way
				all = append(all, a)
			case <-killed:
				more = false
			}
		}
		token := p.Token
		p = rig.Spawn(t, p.Dir)
		p.Token = token // which was acknowledged, too
		wantAll(p, all[max(0, len(all)-20):])
	}
	wantAll(p, all)
	t.Logf("%d users with role and permission", len(all))
}

// write makes roles, permissions and users until the program is gone. It tells
// of each user whose role and permission are acknowledged as well.
func write(p *rig.Program, name string, kept chan<- acknowledged) {
	for i := 0; ; i++ {
		a := acknowledged{user: fmt.Sprintf("%s-u%d", name, i), role: fmt.Sprintf("%s-r%d", name, i), topic: fmt.Sprintf("%s/t%d", name, i)}
		role, err := p.Do("POST", "/roles", rig.Object{"name": a.role, "isShared": true})
		if err != nil || role.Status != http.StatusCreated {
			return
		}
		id := role.Field(p, "id")
		permission, err := p.Do("POST", "/roles/"+id+"/permissions", rig.Writes(a.topic))
		if err != nil || permission.Status != http.StatusCreated {
			return
		}
		user, err := p.Do("POST", "/users", rig.Object{"username": a.user, "password": rig.SecretOf(a.user), "identityProvider": "local", "roles": []string{id}})
		if err != nil || user.Status != http.StatusCreated {
			return
		}
		kept <- a
	}
}

// wantAll wants that each user is listed, signs in, and may publish to its topic
// alone.
func wantAll(p *rig.Program, all []acknowledged) {
	p.TB.Helper()
	var names []string
	p.Must(http.StatusOK, "GET", "/users/usernames", nil).Decode(p.TB, &names)
	for _, a := range all {
		if !slices.Contains(names, a.user) {
			p.TB.Errorf("%s is lost", a.user)
			continue
		}
		cl := mqtttest.Dial(p.TB, p.URLs["mqtt"], 5)
		cl.MustConnect(rig.As(a.user, a.user))
		rig.WantCode(p.TB, a.user+" to its topic", cl.Publish(a.topic, "", 1, false)&^0x10, rig.Success)
		rig.WantCode(p.TB, a.user+" to another", cl.Publish("other", "", 1, false), rig.NotAuthorized)
		cl.Disconnect()
	}
}
