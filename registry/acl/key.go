package acl

import (
	"encoding/binary"
	"math/bits"
)

// key stands for the text of a level where it is looked up. A text of up to
// seven bytes is its own key, read as a number; no text holds NUL, so the zeros
// behind it are none of it. A longer one has a hash with the highest bit set,
// and must be compared as well.
type key uint64

const hashedKey key = 1 << 63

// keyOf returns the key of the first size bytes of text, which goes on for
// eight bytes more at least.
func keyOf(seed uint64, text []byte, size int) key {
	if size < 8 {
		return key(first(text, size))
	}
	return longKey(seed, text, size)
}

// longKey is keyOf for a text of eight bytes or more.
func longKey(seed uint64, text []byte, size int) key {
	const odd = 0x9E3779B97F4A7C15
	h := seed ^ uint64(size)
	for ; size > 0; size -= 8 {
		hi, lo := bits.Mul64(h^first(text, size), odd)
		h = hi ^ lo
		text = text[8:]
	}
	return key(h) | hashedKey
}

// first returns the first bytes of text as a number: size of them, eight at most.
func first(text []byte, size int) uint64 {
	eight := binary.LittleEndian.Uint64(text)
	if size < 8 {
		eight &= 1<<(8*size) - 1
	}
	return eight
}

// textKey returns the key of text.
func textKey(seed uint64, text string) key {
	padded := make([]byte, len(text)+8)
	copy(padded, text)
	return keyOf(seed, padded, len(text))
}

// hashed reports whether several texts may have this key.
func (k key) hashed() bool { return k&hashedKey != 0 }

// slot returns where in a table of that size to look for k first. Multiplying
// by a secret odd number spreads every set of keys (Dietzfelbinger et al., "A
// Reliable Randomized Algorithm for the Closest-Pair Problem", 1997), so that
// nobody can choose resources that crowd together.
func (k key) slot(seed uint64, size uint32) uint32 {
	high := uint64(k) * (seed | 1) >> 32
	return uint32(high * uint64(size) >> 32) // #nosec G115 -- less than size
}
