package servers

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestAStoreThatIsPutBackIsNotWhatRedisRemembers copies the data folder, as the
// manual says, goes on, puts the copy back, and starts again; Redis ran on. What the
// store does not hold nobody has, also when it gives the same numbers out again.
func TestAStoreThatIsPutBackIsNotWhatRedisRemembers(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	p := rig.Launch(t, "--redis", c.URL)
	role := p.Role("writers", rig.Both("a/#"))
	p.UserWith("writer", rig.Object{"roles": []string{role}})
	gw := p.UserWith("gw1", rig.Object{"roles": []string{p.Role("readers", rig.Reads("a/#"))}})
	p.Connect(rig.As("gw1", "g"))
	p.AsAdmin()
	stop(t, p)
	backup := t.TempDir()
	rig.CopyData(t, backup, p.Dir)

	p = rig.LaunchIn(t, p.Dir, "--redis", c.URL)
	p.Must(http.StatusOK, "PUT", "/users/"+gw, rig.Object{"roles": []string{role}})
	p.UserWith("stranger", rig.Object{"roles": []string{role}})
	p.Connect(rig.As("stranger", "s"))
	rig.WantCode(t, "publish", p.Connect(rig.As("gw1", "g")).Publish("a/1", "", 1, false)&^0x10, rig.Success)
	c.entries(6)
	stop(t, p)

	if err := errors.Join(os.RemoveAll(p.Dir), os.Mkdir(p.Dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	rig.CopyData(t, p.Dir, backup)
	p = rig.LaunchIn(t, p.Dir, "--redis", c.URL)
	check := func(when string) {
		t.Helper()
		p.Connect(rig.As("writer", "w")) // has Redis asked from now on, and the role in memory
		p.Reaches("mqttwarden_cache_down", 0)
		rig.WantCode(t, when+": connect as the user who does not exist", p.Dial(5).Connect(rig.As("stranger", "s")).ReasonCode, rig.BadCredentials)
		rig.WantCode(t, when+": publish", p.Connect(rig.As("gw1", "g")).Publish("a/1", "", 1, false), rig.NotAuthorized)
	}
	check("at once")
	for i := range 20 { // past the numbers of what was lost
		p.User(fmt.Sprint("other", i), rig.Reads("b"))
	}
	check("after new changes")
	stop(t, p)
	p = rig.LaunchIn(t, p.Dir, "--redis", c.URL)
	check("after another start")
}

func stop(t *testing.T, p *rig.Program) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}
