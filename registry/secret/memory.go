package secret

import (
	"encoding/binary"
	"time"
)

// sum256 is an HMAC-SHA-256 under a key of this process.
type sum256 = [32]byte

// memory is a bounded set of MACs that are forgotten after a time. It takes about
// 140 bytes for each. It is not safe for concurrent use.
//
// A full memory forgets any one entry for a new one, not the oldest: when more
// devices than it holds come back in the same order as last time, the oldest is
// the next that would have been needed, and nothing would ever be remembered.
type memory struct {
	size  int
	ttl   time.Duration
	slots []slot
	index map[sum256]int // into slots
}

type slot struct {
	mac   sum256
	until time.Duration // on the clock of the owner
}

func newMemory(size int, ttl time.Duration) *memory {
	return &memory{size: size, ttl: ttl, index: make(map[sum256]int)}
}

func (m *memory) has(mac sum256, now time.Duration) bool {
	i, ok := m.index[mac]
	return ok && now < m.slots[i].until
}

func (m *memory) add(mac sum256, now time.Duration) { m.addUntil(mac, now+m.ttl) }

func (m *memory) addUntil(mac sum256, until time.Duration) {
	i, ok := m.index[mac]
	switch {
	case ok:
	case len(m.slots) < m.size:
		i = len(m.slots)
		m.slots = append(m.slots, slot{})
	default:
		// The MAC serves as a random number, which a client can not choose.
		i = int(binary.BigEndian.Uint32(mac[:])>>1) % len(m.slots)
		delete(m.index, m.slots[i].mac)
	}
	m.slots[i] = slot{mac: mac, until: until}
	m.index[mac] = i
}
