package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// pattern is where the wildcards of a filter stand, and the group that shares it.
//
// It is what a filter may cost those who publish. Whoever looks for the
// subscribers of a topic goes, at each level, to the level of that name and to
// "+". So there is at most one place to go to for each way to put wildcards into
// the levels so far; how many filters a user has beside that, such as one for each
// of its devices, makes no difference. But 4,096 ways make 4,096 places for one
// topic. The ways in the filters of one user are limited, and with them what its
// subscriptions cost a publish of anybody.
type pattern struct {
	group string // of a shared subscription; each is found for itself
	depth int
	wild  uint64 // the levels that are "+", the first in the lowest bit
}

// patternOf returns the pattern of a filter, and false if that is one that counts
// for nothing: of a subscription that is not shared and has no "+".
func patternOf(filter string) (pattern, bool) {
	var p pattern
	if mqtt.IsSharedFilter(filter) {
		p.group, filter = unshare(filter)
	}
	for level := range strings.SplitSeq(filter, "/") {
		if level == "+" {
			p.wild |= 1 << (p.depth % 64)
		}
		p.depth++
	}
	if p.wild == 0 {
		p.depth = 0
	}
	return p, p.wild != 0 || p.group != ""
}

// patterns are those of the sessions of one user, with how many of its sessions
// have each.
type patterns map[pattern]int

// notePatterns takes the filters out of a SUBSCRIBE that would give the sessions of
// its user too many patterns.
func (g *guard) notePatterns(pk *packets.Packet) {
	for i := range pk.Filters {
		p, counts := patternOf(pk.Filters[i].Filter)
		if !counts || g.b.sessions.addPattern(g.session, p) {
			continue
		}
		g.b.count.patternsRefused.Add(1)
		g.current.overQuota = append(g.current.overQuota, i)
		pk.Filters[i].Filter = ""
	}
}

// addPattern counts a pattern among those of a session, unless its user has too
// many.
func (r *sessions) addPattern(s *session, p pattern) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, has := s.patterns[p]; has {
		return true
	}
	all := r.patterns[s.user]
	if all[p] == 0 && len(all) >= r.maxPatterns {
		r.recountPatterns(s)
		if all = r.patterns[s.user]; len(all) >= r.maxPatterns {
			return false
		}
	}
	r.countPattern(s, p)
	return true
}

// countPattern counts a pattern that the session does not have yet. The caller
// holds mu.
func (r *sessions) countPattern(s *session, p pattern) {
	if s.patterns == nil {
		s.patterns = make(map[pattern]struct{})
	}
	s.patterns[p] = struct{}{}
	all := r.patterns[s.user]
	if all == nil {
		all = make(patterns)
		r.patterns[s.user] = all
	}
	all[p]++
}

// recountPatterns counts the patterns of what a session is subscribed to now. What
// it has unsubscribed from counts until somebody needs the room. The caller holds
// mu.
func (r *sessions) recountPatterns(s *session) {
	r.dropPatterns(s)
	for filter := range s.client.State.Subscriptions.GetAll() {
		if p, counts := patternOf(filter); counts {
			if _, has := s.patterns[p]; !has {
				r.countPattern(s, p)
			}
		}
	}
}

// dropPatterns takes the patterns of a session out of the count. The caller holds
// mu.
func (r *sessions) dropPatterns(s *session) {
	all := r.patterns[s.user]
	for p := range s.patterns {
		if all[p]--; all[p] <= 0 {
			delete(all, p)
		}
	}
	if len(all) == 0 {
		delete(r.patterns, s.user)
	}
	s.patterns = nil
}

// inheritPatterns counts for s what the session has whose state it may go on with.
// The caller holds mu.
func (r *sessions) inheritPatterns(s, before *session) {
	for p := range before.patterns {
		if _, has := s.patterns[p]; !has {
			r.countPattern(s, p)
		}
	}
}
