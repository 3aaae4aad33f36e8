package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"mqttwarden/broker/mqtttest"
)

// acknowledged is a user that the API said it has made, and what for.
type acknowledged struct{ user, role, topic string }

// TestKillLosesNothingThatWasAcknowledged kills the program while it is written
// to, and looks for all that it has ever acknowledged.
func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- when to kill
	p := spawn(t, usedDir(t))
	p.asAdmin()
	var all []acknowledged
	for round := range 10 {
		kept := make(chan acknowledged)
		var writers sync.WaitGroup
		for w := range 2 {
			writers.Go(func() { p.write(fmt.Sprintf("r%d-w%d", round, w), kept) })
		}
		for range 1 + chance.IntN(12) {
			all = append(all, <-kept)
		}
		killed := make(chan struct{})
		go func() { // writers find out by themselves
			p.kill()
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
		token := p.token
		p = spawn(t, p.dir)
		p.token = token // which was acknowledged, too
		p.wantAll(all[max(0, len(all)-20):])
	}
	p.wantAll(all)
	t.Logf("%d users with role and permission", len(all))
}

// write makes roles, permissions and users until the program is gone. It tells
// of each user whose role and permission are acknowledged as well.
func (p *program) write(name string, kept chan<- acknowledged) {
	for i := 0; ; i++ {
		a := acknowledged{user: fmt.Sprintf("%s-u%d", name, i), role: fmt.Sprintf("%s-r%d", name, i), topic: fmt.Sprintf("%s/t%d", name, i)}
		role, err := p.do("POST", "/roles", object{"name": a.role, "isShared": true})
		if err != nil || role.status != http.StatusCreated {
			return
		}
		id := role.field(p, "id")
		permission, err := p.do("POST", "/roles/"+id+"/permissions", writes(a.topic))
		if err != nil || permission.status != http.StatusCreated {
			return
		}
		user, err := p.do("POST", "/users", object{"username": a.user, "password": secretOf(a.user), "identityProvider": "local", "roles": []string{id}})
		if err != nil || user.status != http.StatusCreated {
			return
		}
		kept <- a
	}
}

// wantAll wants that each user is listed, signs in, and may publish to its topic
// alone.
func (p *program) wantAll(all []acknowledged) {
	p.tb.Helper()
	var names []string
	p.must(http.StatusOK, "GET", "/users/usernames", nil).decode(p.tb, &names)
	for _, a := range all {
		if !slices.Contains(names, a.user) {
			p.tb.Errorf("%s is lost", a.user)
			continue
		}
		cl := mqtttest.Dial(p.tb, p.urls["mqtt"], 5)
		cl.MustConnect(as(a.user, a.user))
		wantCode(p.tb, a.user+" to its topic", cl.Publish(a.topic, "", 1, false)&^0x10, success)
		wantCode(p.tb, a.user+" to another", cl.Publish("other", "", 1, false), notAuthorized)
		cl.Disconnect()
	}
}
