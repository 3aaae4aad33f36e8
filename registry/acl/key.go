package acl

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// key stands for the text of a level where it is looked up. A text of up to
// seven bytes is its own key, read as a number; no text holds NUL, so the zeros
// behind it are none of it. A longer one has a hash with the highest bit set,
// and must be compared as well.
type key uint64

const hashedKey key = 1 << 63

// seed is a random number that nobody outside the process knows. It is the same
// for all sets of grants, so that the keys of a question fit all of them.
var seed = maphash.String(maphash.MakeSeed(), "") //nolint:gochecknoglobals // made once, never changed

// shortLength is how long a text that is its own key may be, in bytes.
const shortLength = 7

// shortKey returns the key of the first size bytes of text, at most shortLength.
// The text goes on for eight bytes more at least.
func shortKey(text []byte, size int) key {
	return key(binary.LittleEndian.Uint64(text) & (1<<(8*size) - 1))
}

// longKey returns the key of the first size bytes of text, more than
// shortLength. The text goes on for eight bytes more at least.
func longKey(text []byte, size int) key {
	const odd = 0x9E3779B97F4A7C15
	h := seed ^ uint64(size) // #nosec G115 -- a length
	for ; size > 0; size -= 8 {
		eight := binary.LittleEndian.Uint64(text)
		if size < 8 {
			eight &= 1<<(8*size) - 1
		}
		hi, lo := bits.Mul64(h^eight, odd)
		h = hi ^ lo
		text = text[8:]
	}
	return key(h) | hashedKey
}

// textKey returns the key of text.
func textKey(text string) key {
	padded := make([]byte, len(text)+8)
	copy(padded, text)
	if len(text) <= shortLength {
		return shortKey(padded, len(text))
	}
	return longKey(padded, len(text))
}

// hashed reports whether several texts may have this key.
func (k key) hashed() bool { return k&hashedKey != 0 }

// slot returns where in a table of that size to look for k first. Multiplying
// by a secret odd number spreads every set of keys (Dietzfelbinger et al., "A
// Reliable Randomized Algorithm for the Closest-Pair Problem", 1997), so that
// nobody can choose resources that crowd together.
func (k key) slot(size uint32) uint32 {
	high := uint64(k) * (seed | 1) >> 32
	return uint32(high * uint64(size) >> 32) // #nosec G115 -- less than size
}
