package keep

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
)

// errForeign is said of a file that is none of this store, or of a state of it that is
// no more.
var errForeign = errors.New("keep: of another store, or of a state of it that is lost")

// tagSize is what of an HMAC-SHA-256 ends each record: 128 bits.
const tagSize = 16

// authentic tells the records that were written with a key from all others. It is for
// one goroutine.
type authentic struct {
	macs []hash.Hash // by the newest key first
	sum  [sha256.Size]byte
}

func newAuthentic(keys [][]byte) *authentic {
	a := new(authentic)
	if len(keys) == 0 {
		keys = [][]byte{nil}
	}
	for _, k := range keys {
		a.macs = append(a.macs, hmac.New(sha256.New, k))
	}
	return a
}

// close appends the tag of a record to its value.
func (a *authentic) close(bucket, k, value []byte) []byte {
	return append(value, a.tag(a.macs[0], bucket, k, value)...)
}

// open returns the value of a record that was closed with one of the keys.
func (a *authentic) open(bucket, k, closed []byte) (value []byte, ok bool) {
	n := len(closed) - tagSize
	if n < 0 {
		return nil, false
	}
	for _, mac := range a.macs {
		if hmac.Equal(a.tag(mac, bucket, k, closed[:n]), closed[n:]) {
			return closed[:n], true
		}
	}
	return nil, false
}

func (a *authentic) tag(mac hash.Hash, bucket, k, value []byte) []byte {
	var lengths [4]byte
	binary.BigEndian.PutUint16(lengths[:], uint16(len(bucket))) // #nosec G115 -- a name of ours
	binary.BigEndian.PutUint16(lengths[2:], uint16(len(k)))     // #nosec G115 -- at most bbolt.MaxKeySize
	mac.Reset()
	mac.Write(lengths[:])
	mac.Write(bucket)
	mac.Write(k)
	mac.Write(value)
	return mac.Sum(a.sum[:0])[:tagSize]
}
