package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strconv"
	"sync"
)

// keyed computes HMAC-SHA-256 under one key. It reuses the states, which makes it
// several times as fast as hmac.New and free of allocations. It is safe for
// concurrent use.
type keyed struct {
	states sync.Pool
}

type macState struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

func newKeyed(key []byte) *keyed {
	key = bytes.Clone(key)
	return &keyed{states: sync.Pool{New: func() any {
		return &macState{mac: hmac.New(sha256.New, key)}
	}}}
}

// sum returns the MAC of parts. No two lists of parts are the same message.
func sum[T ~string | ~[]byte](k *keyed, parts ...T) [sha256.Size]byte {
	const keep = 4 << 10 // bytes; a larger buffer was for an unusual message

	s := k.states.Get().(*macState)
	s.buf = appendParts(s.buf[:0], parts...)
	s.mac.Reset()
	s.mac.Write(s.buf)
	s.mac.Sum(s.sum[:0])
	sum := s.sum
	clear(s.buf) // a password may be in it
	if cap(s.buf) > keep {
		s.buf = nil
	}
	k.states.Put(s)
	return sum
}

// appendParts appends each part as a netstring (5:alice), so that ("a", "b-c")
// and ("a-b", "c") stay apart.
func appendParts[T ~string | ~[]byte](b []byte, parts ...T) []byte {
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	return b
}
