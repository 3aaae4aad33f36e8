package rediscache

import (
	"encoding/binary"

	"mqttwarden/registry"
)

// A message on the bus is sealed for its store and epoch. Inside are
//
//	format      1 byte, 1
//	sequence    8 bytes, of the sender
//	committed   8 bytes
//	enforced    8 bytes
//	mark        8 bytes, of the change that enforced names
//	node        the rest
//
// with the highest bytes first.
const (
	newsFormat  = 1
	newsHeader  = 1 + 4*8
	maxNodeID   = 64
	maxNews     = 512 // sealed
	newsPurpose = "rediscache bus"
)

// news is what one message says.
type news struct {
	node string // who sends it
	seq  uint64 // grows with each message of node
	registry.Progress
}

// sealed returns n as a message.
func (b *Bus) sealed(n news) ([]byte, error) {
	body := append(make([]byte, 0, newsHeader+len(n.node)), newsFormat)
	for _, v := range []uint64{n.seq, n.Committed, n.Enforced.Number, n.Enforced.Mark} {
		body = binary.BigEndian.AppendUint64(body, v)
	}
	keys := b.cache.keys
	return b.cache.cfg.Seal.Seal(newsPurpose, append(body, n.node...), keys.store, keys.epoch)
}

// opened returns what a message says, if a node of this store wrote it.
func (b *Bus) opened(message string) (news, bool) {
	if len(message) > maxNews {
		return news{}, false
	}
	keys := b.cache.keys
	body, err := b.cache.cfg.Seal.Open(newsPurpose, []byte(message), keys.store, keys.epoch)
	if err != nil || len(body) <= newsHeader || len(body) > newsHeader+maxNodeID || body[0] != newsFormat {
		return news{}, false
	}
	field := func(i int) uint64 { return binary.BigEndian.Uint64(body[1+8*i:]) }
	return news{node: string(body[newsHeader:]), seq: field(0), Progress: registry.Progress{
		Committed: field(1), Enforced: registry.Position{Number: field(2), Mark: field(3)},
	}}, true
}
