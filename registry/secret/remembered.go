package secret

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// What a Verifier remembers, as Remembered writes it: a version, the key of the MACs,
// and for each right answer its MAC and the Unix time in milliseconds when it ends.
const (
	rememberedVersion = 1
	rememberedHead    = 1 + keyLen
	rememberedAnswer  = 32 + 8
)

// Remembered returns the right answers that are remembered, for Recall of the next
// process: devices that come back after a restart cost no hash each. With it, a guess
// costs much less than a hash: seal it, and let it lie no longer than needed.
func (v *Verifier) Remembered() []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.age()
	b := append([]byte{rememberedVersion}, v.key...)
	for _, s := range v.right.slots {
		if now < s.until {
			b = append(b, s.mac[:]...)
			b = binary.BigEndian.AppendUint64(b, uint64(v.start.Add(s.until).UnixMilli())) // #nosec G115 -- after 1970
		}
	}
	return b
}

// Recall has v remember what another process did, until the times that were set then.
// It comes before the first Check.
func (v *Verifier) Recall(b []byte) error {
	if len(b) < rememberedHead || b[0] != rememberedVersion || (len(b)-rememberedHead)%rememberedAnswer != 0 {
		return errors.New("secret: remembered answers are not understood")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.useKey(bytes.Clone(b[1:rememberedHead]))
	for answer := range slices.Chunk(b[rememberedHead:], rememberedAnswer) {
		ends := time.UnixMilli(int64(binary.BigEndian.Uint64(answer[32:]))) // #nosec G115 -- as it was written
		// No longer than a new one: the clock may have been set back.
		if left := min(ends.Sub(v.now()), v.right.ttl); left > 0 {
			v.right.addUntil(sum256(answer[:32]), v.age()+left)
		}
	}
	return nil
}

// useKey takes a key for the MACs.
func (v *Verifier) useKey(key []byte) { v.key, v.mac = key, newKeyed(key) }
