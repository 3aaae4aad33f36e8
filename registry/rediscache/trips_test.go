package rediscache

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// commands returns how many commands Redis has been sent by clients, by name.
func (r *rig) commands() map[string]int {
	r.t.Helper()
	all := make(map[string]int)
	for key, value := range r.raw.InfoMap(r.t.Context(), "commandstats").Val()["Commandstats"] {
		calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		all[strings.TrimPrefix(key, "cmdstat_")], _ = strconv.Atoi(calls)
	}
	return all
}

func TestLookUpThatRedisAnswersIsOneRoundTrip(t *testing.T) {
	r := newRig(t)
	a := r.change(alice())
	for _, l := range lookUps {
		r.expectBy(l, a, a, "") // so that the connection and the script are there
	}
	for _, l := range lookUps {
		t.Run(l.name, func(t *testing.T) {
			r.t = t
			before := r.commands()
			r.expectBy(l, a, a, "")
			sent := make(map[string]int)
			for name, n := range r.commands() {
				if n != before[name] && name != "info" {
					sent[name] = n - before[name]
				}
			}
			// The commands of a script are counted too.
			want := map[string]int{"evalsha": 1, "getrange": 2}
			if l.name == "by id" {
				want = map[string]int{"getrange": 1}
			}
			if fmt.Sprint(sent) != fmt.Sprint(want) {
				t.Errorf("Redis was sent %v, want %v", sent, want)
			}
		})
	}
}
