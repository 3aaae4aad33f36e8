package retain

import (
	"slices"
	"strings"

	"mqttwarden/broker/message"
)

// node stands for the first levels of one or more topics.
type node struct {
	parent  *node // nil for the root
	level   string
	below   []*node          // by their levels, in order
	message *message.Message // nil: none at this very topic
	stored  uint64           // how many messages had been stored when this one was
	at      int              // its place in expiring, if it is there
}

// place returns where the node of a level is below n, or would be.
func (n *node) place(level string) (at int, there bool) {
	return slices.BinarySearchFunc(n.below, level, func(c *node, level string) int { return strings.Compare(c.level, level) })
}

// next returns the node of a level below n, nil if there is none.
func (n *node) next(level string) *node {
	if at, there := n.place(level); there {
		return n.below[at]
	}
	return nil
}

// seek returns the node of a topic below n, nil if there is none.
func (n *node) seek(topic string) *node {
	for level := range strings.SplitSeq(topic, "/") {
		if n = n.next(level); n == nil {
			return nil
		}
	}
	return n
}

// make returns the node of a topic below n, which it makes if there is none.
func (n *node) make(topic string) *node {
	for level := range strings.SplitSeq(topic, "/") {
		at, there := n.place(level)
		if !there {
			n.below = slices.Insert(n.below, at, &node{parent: n, level: level})
		}
		n = n.below[at]
	}
	return n
}

// prune removes n if nothing is left of it, and those above it of which the same is
// true then.
func (n *node) prune() {
	for n.parent != nil && n.message == nil && len(n.below) == 0 {
		up := n.parent
		at, _ := up.place(n.level)
		up.below = slices.Delete(up.below, at, at+1)
		if len(up.below) == 0 {
			up.below = nil
		}
		n = up
	}
}

// path returns the levels of n.
func (n *node) path() []string {
	var levels []string
	for ; n.parent != nil; n = n.parent {
		levels = append(levels, n.level)
	}
	slices.Reverse(levels)
	return levels
}

// hidden reports whether no wildcard matches n: it is a first level that begins
// with $ ([MQTT-4.7.2-1]).
func (n *node) hidden() bool { return n.parent.parent == nil && strings.HasPrefix(n.level, "$") }
