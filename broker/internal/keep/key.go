package keep

import (
	"encoding/binary"
	"math"

	"go.etcd.io/bbolt"
)

// The buckets of the file.
var (
	bucketSessions      = []byte("sessions")
	bucketUsers         = []byte("users")
	bucketSubscriptions = []byte("subscriptions")
	bucketDeliveries    = []byte("messages")
	bucketReceived      = []byte("received")
	bucketRetained      = []byte("retained")

	bucketLine  = []byte("line")
	keyPosition = []byte("position")
)

// buckets is all of them, sessions first: a copy leaves out what belongs to none.
var buckets = [][]byte{
	bucketSessions, bucketUsers, bucketSubscriptions, bucketDeliveries, bucketReceived, bucketRetained,
}

// longest is what fits into a key together.
const longest = min(bbolt.MaxKeySize, math.MaxInt16) - 8

// prefix begins the keys of all that belongs to a client ID or a user.
func prefix(owner string) []byte {
	b := make([]byte, 0, 2+len(owner)+16)
	b = binary.BigEndian.AppendUint16(b, uint16(len(owner))) // #nosec G115 -- at most longest
	return append(b, owner...)
}

func key(owner, name string) []byte { return append(prefix(owner), name...) }

func packetKey(clientID string, id uint16) []byte {
	return binary.BigEndian.AppendUint16(prefix(clientID), id)
}

// split is the inverse of key.
func split(k []byte) (owner, name string, ok bool) {
	if len(k) < 2 {
		return "", "", false
	}
	n := int(binary.BigEndian.Uint16(k))
	if len(k) < 2+n {
		return "", "", false
	}
	return string(k[2 : 2+n]), string(k[2+n:]), true
}

// splitPacket is the inverse of packetKey, but for the packet ID.
func splitPacket(k []byte) (clientID string, ok bool) {
	clientID, name, ok := split(k)
	return clientID, ok && len(name) == 2
}
