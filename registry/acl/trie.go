package acl

import (
	"cmp"
	"slices"
)

// ref names a grant: its index in the set plus one.
type ref uint32

// none is no grant.
const none ref = 0

// trie holds the resources of grants that have context, operation and effect in
// common. It is made once and only read afterwards.
type trie struct {
	nodes []node   // the first is the root
	edges []edge   // a small hash table for each node, one after the other
	texts []string // of the edges whose key is hashed
}

// node stands for the first levels of one or more resources. Its fields name
// other nodes by their place; no field can name the root, so 0 is none.
type node struct {
	edges    uint32 // where its table begins in trie.edges
	slots    uint32 // the size of that table
	plus     uint32 // the node behind "+"
	username uint32 // the node behind ${username}
	clientID uint32 // the node behind ${clientid}
	certCN   uint32 // the node behind ${cert.cn}
	here     ref    // the grant whose last level this is
	below    ref    // the grant that has "#" after this level
}

// edge leads to the node behind a level that is spelled out.
type edge struct {
	key  key    // of the text
	text uint32 // where the text stands in trie.texts, if the key is hashed
	node uint32 // 0: the slot is free
}

// entry is the resource of one grant.
type entry struct {
	levels []piece
	grant  ref
}

// newTrie makes a trie of entries, which it sorts. Of several grants with the
// same resource the first is kept.
func newTrie(entries []entry) trie {
	if len(entries) == 0 {
		return trie{}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(slices.CompareFunc(a.levels, b.levels, piece.compare), cmp.Compare(a.grant, b.grant))
	})
	most := 1
	for _, e := range entries {
		most += len(e.levels)
	}
	t := trie{nodes: make([]node, 0, most), edges: make([]edge, 0, 2*most)}
	t.add(entries, 0)
	t.nodes, t.edges = slices.Clone(t.nodes), slices.Clone(t.edges) // no larger than they need be
	return t
}

// add makes the node of entries, which are sorted and agree in their first
// depth levels, with everything below it, and returns its place.
func (t *trie) add(entries []entry, depth int) uint32 {
	at := uint32(len(t.nodes)) // #nosec G115 -- nodes in memory are fewer
	t.nodes = append(t.nodes, node{})
	var n node
	var spelled [][]entry // one group for each edge
	for len(entries) > 0 {
		if len(entries[0].levels) == depth {
			n.here = cmp.Or(n.here, entries[0].grant)
			entries = entries[1:]
			continue
		}
		level, size := entries[0].levels[depth], 1
		for size < len(entries) && entries[size].levels[depth] == level {
			size++
		}
		group := entries[:size]
		entries = entries[size:]
		switch level.kind {
		case hash:
			n.below = group[0].grant
		case plus:
			n.plus = t.add(group, depth+1)
		case username:
			n.username = t.add(group, depth+1)
		case clientID:
			n.clientID = t.add(group, depth+1)
		case certCN:
			n.certCN = t.add(group, depth+1)
		default:
			spelled = append(spelled, group)
		}
	}
	n.edges = uint32(len(t.edges))                  // #nosec G115 -- as above
	n.slots = uint32(len(spelled) + len(spelled)/2) // #nosec G115 -- as above
	t.edges = append(t.edges, make([]edge, n.slots)...)
	for _, group := range spelled {
		text := group[0].levels[depth].text
		e := edge{key: textKey(text), node: t.add(group, depth+1)}
		if e.key.hashed() {
			e.text = uint32(len(t.texts)) // #nosec G115 -- as above
			t.texts = append(t.texts, text)
		}
		t.link(&n, e)
	}
	t.nodes[at] = n
	return at
}

// table returns the edges of n, and slots that are free.
func (t *trie) table(n *node) []edge {
	return t.edges[n.edges : n.edges+n.slots]
}

// link puts e into the table of n.
func (t *trie) link(n *node, e edge) {
	table := t.table(n)
	i := e.key.slot(n.slots)
	for table[i].node != 0 {
		i = (i + 1) % n.slots
	}
	table[i] = e
}

// dollar reports whether the text of e begins with "$".
func (t *trie) dollar(e *edge) bool {
	if e.key.hashed() {
		return t.texts[e.text][0] == '$'
	}
	return byte(e.key&0xff) == '$'
}

// child returns the node behind the level of q at depth, which is spelled out.
func (t *trie) child(n *node, q *query, depth int) uint32 {
	k := q.keys[depth]
	if k.hashed() {
		return t.compared(n, q, depth)
	}
	if n.slots == 0 {
		return 0
	}
	table := t.edges[n.edges:][:n.slots]
	i := k.slot(n.slots)
	for range table {
		if e := &table[i]; e.key == k || e.node == 0 {
			return e.node
		}
		if i++; i == n.slots {
			i = 0
		}
	}
	return 0
}

// compared is child for a level whose key does not say all.
func (t *trie) compared(n *node, q *query, depth int) uint32 {
	if n.slots == 0 {
		return 0
	}
	table, k := t.table(n), q.keys[depth]
	i := k.slot(n.slots)
	for range table {
		e := &table[i]
		if e.node == 0 || e.key == k && q.spells(depth, t.texts[e.text]) {
			return e.node
		}
		if i++; i == n.slots {
			i = 0
		}
	}
	return 0
}

// cover returns a grant that matches all that q matches.
func (t *trie) cover(q *query) ref {
	if len(t.nodes) == 0 {
		return none
	}
	return t.coverFrom(q, 0, 0)
}

// coverFrom is cover below a node whose levels cover the first depth of q. It
// goes on by itself along the last of the ways it has, so that most questions
// are one loop.
func (t *trie) coverFrom(q *query, at uint32, depth int) ref {
	for ; ; depth++ {
		n := &t.nodes[at]
		if n.below != none {
			return n.below
		}
		if depth == q.n {
			return n.here
		}
		last := n.plus
		if depth == 0 && q.dollar {
			last = 0
		}
		switch q.kind(depth) {
		case hash:
			return none
		case plus: // only a wildcard covers a wildcard
		default:
			if n.username != 0 && q.isUser(depth) {
				if g := t.coverFrom(q, n.username, depth+1); g != none {
					return g
				}
			}
			if n.clientID != 0 && q.mayBe(depth, &q.names.clientID) {
				if g := t.coverFrom(q, n.clientID, depth+1); g != none {
					return g
				}
			}
			if n.certCN != 0 && q.mayBe(depth, &q.names.certCN) {
				if g := t.coverFrom(q, n.certCN, depth+1); g != none {
					return g
				}
			}
			next := t.child(n, q, depth)
			if next != 0 && last != 0 {
				if g := t.coverFrom(q, next, depth+1); g != none {
					return g
				}
			} else if next != 0 {
				last = next
			}
		}
		if last == 0 {
			return none
		}
		at = last
	}
}

// overlap returns a grant that matches something that q matches.
func (t *trie) overlap(q *query) ref {
	if len(t.nodes) == 0 {
		return none
	}
	return t.overlapFrom(q, 0, 0)
}

// overlapFrom is overlap below a node whose levels overlap the first depth of q.
func (t *trie) overlapFrom(q *query, at uint32, depth int) ref {
	n := &t.nodes[at]
	if n.below != none {
		return n.below
	}
	if depth == q.n {
		return n.here
	}
	k, next := q.kind(depth), depth+1
	if k == hash {
		if n.here != none {
			return n.here
		}
		next = depth // "#" stands for the level after this one, too
	}
	if k == literal {
		if to := t.child(n, q, depth); to != 0 {
			if g := t.overlapFrom(q, to, next); g != none {
				return g
			}
		}
	} else {
		for _, e := range t.table(n) {
			if e.node == 0 || depth == 0 && t.dollar(&e) {
				continue
			}
			if g := t.overlapFrom(q, e.node, next); g != none {
				return g
			}
		}
	}
	if n.username != 0 && q.isUser(depth) {
		if g := t.overlapFrom(q, n.username, next); g != none {
			return g
		}
	}
	if n.clientID != 0 && q.mayBe(depth, &q.names.clientID) {
		if g := t.overlapFrom(q, n.clientID, next); g != none {
			return g
		}
	}
	if n.certCN != 0 && q.mayBe(depth, &q.names.certCN) {
		if g := t.overlapFrom(q, n.certCN, next); g != none {
			return g
		}
	}
	if n.plus == 0 || depth == 0 && q.dollar {
		return none
	}
	return t.overlapFrom(q, n.plus, next)
}
