package retain

import (
	"math"
	"strings"

	"mqttwarden/broker/message"
)

// pageNodes is how many nodes are looked at for one page. Nobody stores anything
// meanwhile.
const pageNodes = 4096

// Match returns the messages whose topics a filter matches (MQTT 5 section 4.7),
// without those that have expired at the time now, in the order of their levels.
func (s *Store) Match(filter string, now int64) []*message.Message {
	f := finder{filter: strings.Split(filter, "/"), now: now, until: math.MaxUint64, limit: math.MaxInt, nodes: math.MaxInt}
	s.mu.RLock()
	defer s.mu.RUnlock()
	f.find(&s.root, 0, false)
	return f.found
}

// Pages goes through the messages that a filter matches a page at a time, and holds
// no more of them than that.
type Pages struct {
	s      *Store
	filter []string
	until  uint64
	from   []string // the levels where the next page begins
	done   bool
}

// Pages returns the messages that a filter matches and that are there now. What
// takes the place of one of them before its page is read is not among them.
func (s *Store) Pages(filter string) *Pages {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &Pages{s: s, filter: strings.Split(filter, "/"), until: s.stored}
}

// Next returns the next page of at most limit messages, without those that have
// expired at the time now. It may be empty; more tells whether there is another.
func (p *Pages) Next(limit int, now int64) (page []*message.Message, more bool) {
	if p.done {
		return nil, false
	}
	f := finder{filter: p.filter, now: now, until: p.until, from: p.from, limit: limit, nodes: pageNodes}
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	p.done = f.find(&p.s.root, 0, len(p.from) > 0)
	p.from = f.next
	return f.found, !p.done
}

// finder collects messages. It goes through the nodes in order: each before those
// below it.
type finder struct {
	filter []string
	now    int64
	until  uint64   // what was stored later is left out
	from   []string // where to begin
	limit  int      // messages
	nodes  int      // that may still be looked at

	found []*message.Message
	next  []string // where it ended
}

// find collects what is at n, which is depth levels down, and below it. On the way
// means that n is above the place to begin at. It returns false when the page is
// full.
func (f *finder) find(n *node, depth int, onTheWay bool) bool {
	if !onTheWay && f.full() {
		f.next = n.path()
		return false
	}
	level := f.level(depth)
	if level == "#" && depth < len(f.filter)-1 {
		return true // no filter
	}
	if !onTheWay && (depth == len(f.filter) || level == "#") { // # also matches the level in front of it ([MQTT-4.7.1-2])
		f.add(n)
	}
	switch {
	case depth == len(f.filter) && level == "":
		return true
	case level == "#", level == "+":
		return f.each(n, depth, onTheWay)
	default:
		c := n.next(level)
		return c == nil || f.step(c, depth, onTheWay)
	}
}

// full reports whether the page is full, and counts a node if not.
func (f *finder) full() bool {
	if len(f.found) >= f.limit || f.nodes <= 0 {
		return true
	}
	f.nodes--
	return false
}

// level returns the level of the filter at a depth. # at its end goes on for ever.
func (f *finder) level(depth int) string {
	last := len(f.filter) - 1
	switch {
	case f.filter[last] == "#" && depth >= last:
		return "#"
	case depth > last:
		return ""
	default:
		return f.filter[depth]
	}
}

// each goes on with all below n.
func (f *finder) each(n *node, depth int, onTheWay bool) bool {
	begin := 0
	if onTheWay {
		begin, _ = n.place(f.from[depth])
	}
	for _, c := range n.below[begin:] {
		if !c.hidden() && !f.step(c, depth, onTheWay) {
			return false
		}
	}
	return true
}

// step goes on with c, below a node that is depth levels down.
func (f *finder) step(c *node, depth int, onTheWay bool) bool {
	if onTheWay {
		if c.level < f.from[depth] {
			return true
		}
		onTheWay = c.level == f.from[depth] && depth+1 < len(f.from)
	}
	return f.find(c, depth+1, onTheWay)
}

func (f *finder) add(n *node) {
	if n.message != nil && n.stored <= f.until && !n.message.Expired(f.now) {
		f.found = append(f.found, n.message)
	}
}
