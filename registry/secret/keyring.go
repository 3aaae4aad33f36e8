package secret

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	keyLen  = 32 // bytes of a master key
	idLen   = 8  // bytes of its id
	maxKeys = 32 // in one ring
)

// KeyRing holds the master keys. The first one seals, all of them open. A master
// key is never used itself: each purpose has a key of its own, derived by
// HKDF-SHA-256 (RFC 5869). A KeyRing does not print, does not change and is safe
// for concurrent use.
type KeyRing struct {
	keys []*masterKey // at least one
}

// masterKey is one key and what was derived from it.
type masterKey struct {
	secret [keyLen]byte
	id     [idLen]byte
	seals  perPurpose[cipher.AEAD]
	macs   perPurpose[*keyed]
}

// NewKeyRing returns a ring of keys, each of 32 random bytes and no two the same.
// LoadKeyRing and CreateKeyFile are what a program uses.
func NewKeyRing(keys ...[]byte) (*KeyRing, error) {
	if len(keys) < 1 || len(keys) > maxKeys {
		return nil, fmt.Errorf("secret: %d master keys: must be 1 to %d", len(keys), maxKeys)
	}
	ring := &KeyRing{}
	for _, b := range keys {
		k, err := newMasterKey(b)
		if err != nil {
			return nil, err
		}
		if ring.Has(k.name()) {
			return nil, fmt.Errorf("secret: master key %s is there twice", k.name())
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// ID returns the id of the key that seals, 16 hexadecimal digits. It is derived
// from the key and no secret.
func (k *KeyRing) ID() string { return k.keys[0].name() }

// IDs returns the ids of all keys, that of the key that seals first.
func (k *KeyRing) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.name()
	}
	return ids
}

// Has reports whether the key with that id is in the ring.
func (k *KeyRing) Has(id string) bool { return slices.Contains(k.IDs(), id) }

// MAC returns a message authentication code of parts: for the keys of a shared cache,
// which must not show what they stand for, and for messages that must come from one of
// our own nodes. Another purpose or another division into parts gives another MAC.
//
// Only the first key is used. When that changes every MAC changes, so a cache starts
// empty, and nodes whose first keys differ do not accept each other's messages: a MAC
// is for what may be lost, never for what is stored.
func (k *KeyRing) MAC(purpose string, parts ...[]byte) [32]byte {
	return sum(k.keys[0].macs.get(purpose), parts...)
}

// MACs is MAC for each key, that of the first one first: for what is stored for a while
// and written anew at each start, so that it survives a change of the first key.
func (k *KeyRing) MACs(purpose string, parts ...[]byte) [][]byte {
	all := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		mac := sum(key.macs.get(purpose), parts...)
		all[i] = mac[:]
	}
	return all
}

// Format implements fmt.Formatter: the ids, whatever the verb.
func (k *KeyRing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// String returns the ids.
func (k *KeyRing) String() string {
	if k == nil {
		return "no master keys"
	}
	return "master keys " + strings.Join(k.IDs(), ", ")
}

// LogValue implements slog.LogValuer.
func (k *KeyRing) LogValue() slog.Value { return slog.StringValue(k.String()) }

// key returns the key with that id, or nil.
func (k *KeyRing) key(id []byte) *masterKey {
	for _, key := range k.keys {
		if string(key.id[:]) == string(id) {
			return key
		}
	}
	return nil
}

func newMasterKey(b []byte) (*masterKey, error) {
	if len(b) != keyLen {
		return nil, errors.New("secret: a master key must be 32 bytes")
	}
	k := &masterKey{secret: [keyLen]byte(b)}
	id, err := hkdf.Key(sha256.New, b, nil, "mqttwarden key id", idLen)
	if err != nil {
		return nil, fmt.Errorf("secret: master key: %w", err)
	}
	k.id = [idLen]byte(id)
	k.seals.derive = func(purpose string) cipher.AEAD {
		aead, err := chacha20poly1305.NewX(k.subkey("mqttwarden seal " + purpose))
		if err != nil {
			panic("secret: " + err.Error()) // a program built for FIPS 140 only, which has no such cipher
		}
		return aead
	}
	k.macs.derive = func(purpose string) *keyed {
		return newKeyed(k.subkey("mqttwarden mac " + purpose))
	}
	return k, nil
}

func (k *masterKey) name() string { return hex.EncodeToString(k.id[:]) }

func (k *masterKey) subkey(info string) []byte {
	b, err := hkdf.Key(sha256.New, k.secret[:], nil, info, 32)
	if err != nil {
		panic("secret: " + err.Error()) // the same call made the id
	}
	return b
}

// perPurpose keeps what was derived for each purpose. Purposes are constants of the
// program, so there are few; above a limit they are derived each time.
type perPurpose[T any] struct {
	derive func(purpose string) T
	mu     sync.RWMutex
	made   map[string]T
}

func (p *perPurpose[T]) get(purpose string) T {
	const limit = 64

	p.mu.RLock()
	t, ok := p.made[purpose]
	p.mu.RUnlock()
	if ok {
		return t
	}
	t = p.derive(purpose)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made = make(map[string]T)
	}
	if len(p.made) < limit {
		p.made[purpose] = t
	}
	return t
}
