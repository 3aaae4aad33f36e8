package secret

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed says that a sealed value does not open: it has another key, purpose or
// context, or Seal did not write it. Which of them is not told.
var ErrSealed = errors.New("secret: sealed value does not open")

// A sealed value is
//
//	version  1 byte, 1
//	key id   8 bytes
//	nonce    24 bytes, random
//	XChaCha20-Poly1305 of the plaintext, 16 bytes longer than that
//
// under the key of the purpose. Version, key id and context are authenticated.
const (
	sealVersion = 1
	headerLen   = 1 + idLen
	textStart   = headerLen + chacha20poly1305.NonceSizeX

	// Overhead is how much longer a sealed value is than its plaintext, in bytes.
	Overhead = textStart + chacha20poly1305.Overhead
)

// Seal encrypts plaintext under the first key, for one purpose ("totp", "redis")
// and bound to one place: context is the table, column and row, or whatever says
// where the value belongs. It opens only with the same purpose and context, so
// whoever can write the store can not move it to another row.
//
// It does not hide the length, and an old value opens in the place of a new one: where
// that matters, put a version into the context.
func (k *KeyRing) Seal(purpose string, plaintext []byte, context ...string) ([]byte, error) {
	key := k.keys[0]
	sealed := make([]byte, textStart, len(plaintext)+Overhead)
	sealed[0] = sealVersion
	copy(sealed[1:], key.id[:])
	nonce := sealed[headerLen:textStart]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("secret: nonce: %w", err)
	}
	return key.seals.get(purpose).Seal(sealed, nonce, plaintext, additional(sealed[:headerLen], context)), nil
}

// Open returns what was sealed for that purpose and context, under any key of the
// ring. Its error is always ErrSealed.
func (k *KeyRing) Open(purpose string, sealed []byte, context ...string) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	key := k.key(sealed[1:headerLen])
	if key == nil {
		return nil, ErrSealed
	}
	plaintext, err := key.seals.get(purpose).Open(nil, sealed[headerLen:textStart], sealed[textStart:],
		additional(sealed[:headerLen], context))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// additional returns the additional data of a sealed value.
func additional(header []byte, context []string) []byte {
	ad := make([]byte, 0, 128)
	return appendParts(append(ad, header...), context...)
}
