package rediscache

import (
	"encoding/hex"
	"strconv"
	"strings"

	"mqttwarden/registry"
)

// purpose separates our derived keys from those of other uses of the master key.
const purpose = "rediscache"

// What a key names. They are part of the MAC too.
const (
	byID          = "u"
	byName        = "n"
	byFingerprint = "f"
)

// keys makes the names under which things stand in Redis. They give away no
// username and no fingerprint, not even to somebody who guesses it.
type keys struct {
	seal  Sealer
	store string
	epoch string
}

func newKeys(s Sealer, id registry.Identity) keys {
	return keys{seal: s, store: id.StoreID, epoch: strconv.FormatUint(id.Epoch, 10)}
}

func (k keys) user(id registry.UserID) string   { return k.key(byID, string(id)) }
func (k keys) name(username string) string      { return k.key(byName, username) }
func (k keys) fingerprint(sha256 string) string { return k.key(byFingerprint, sha256) }
func (k keys) prefix() string                   { return "{mw:" + k.store + ":" + k.epoch + "}:" }
func (k keys) users() string                    { return k.prefix() + byID + ":" }

// pointer returns what the key of a user's record ends with, after users.
func (k keys) pointer(id registry.UserID) string { return strings.TrimPrefix(k.user(id), k.users()) }

// pointerLen returns how long the pointer is in the value at key.
func (k keys) pointerLen(key string) int {
	if strings.HasPrefix(key, k.users()) {
		return 0
	}
	return macLen
}

func (k keys) key(kind, value string) string {
	mac := k.seal.MAC(purpose, []byte(kind), []byte(k.store), []byte(k.epoch), []byte(value))
	return k.prefix() + kind + ":" + hex.EncodeToString(mac[:])
}
