package acl

// What one of each takes in memory, in bytes, on a machine of 64 bits. They are
// what [Set.Size] reckons with: a test holds it against what the heap says.
const (
	setSize   = 512
	grantSize = 64
	nodeSize  = 32
	edgeSize  = 16
	textSize  = 16 // without the text, which a grant has
)

// Size returns about how many bytes the set takes in memory.
func (s *Set) Size() int { return s.size }

// measure reckons the size.
func (s *Set) measure() int {
	size := setSize + grantSize*len(s.grants)
	for i := range s.grants {
		size += len(s.grants[i].Resource) + len(s.grants[i].Permission)
	}
	for i := range s.rights {
		size += s.rights[i].allow.size() + s.rights[i].deny.size()
	}
	return size
}

func (t *trie) size() int {
	return nodeSize*len(t.nodes) + edgeSize*len(t.edges) + textSize*len(t.texts)
}
