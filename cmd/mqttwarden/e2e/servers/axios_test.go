package servers

import (
	"os/exec"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// axios sends a list under other names than the parameter has, and each finds what was
// asked for. It never finds everybody.
func TestAxiosListsUsers(t *testing.T) {
	p := rig.LaunchQuick(t)
	p.AsAdmin()
	for _, name := range []string{"anna", "bert", "carl"} {
		p.User(name)
	}
	// #nosec G204 -- ours
	out, err := exec.CommandContext(t.Context(), "node", "../../../../deploy/test/users.mjs", "http://"+p.URLs["http"], p.Token, "anna", "carl").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines[:len(lines)-1] {
		if !strings.HasPrefix(line, "anna carl ") {
			t.Errorf("got %s", line)
		}
	}
	if want := "400 username[]: is not a parameter"; len(lines) != 7 || !strings.HasPrefix(lines[6], want) {
		t.Errorf("got %q, want seven lines, the last of which begins with %s", lines, want)
	}
}
