package registry

import (
	"context"
	"errors"
	"fmt"

	"mqttwarden/registry/bearer"
)

// Settings of the store that the program keeps for itself.
const (
	settingMasterKey = "masterkey" // sealed: proves that the key ring is the store's
	settingTokenKey  = "tokenkey"  // sealed: the RSA key that signs tokens
)

// Sealer seals what only this installation may read; secret.KeyRing does.
type Sealer interface {
	Seal(purpose string, plaintext []byte, context ...string) ([]byte, error)
	Open(purpose string, sealed []byte, context ...string) ([]byte, error)
}

// ErrMasterKey says that a key ring is not the one of the store.
var ErrMasterKey = errors.New("the master key is not the one that this store was made with")

// CheckMasterKey returns ErrMasterKey unless the ring can open what this store has
// sealed. A new store takes the ring for its own.
func CheckMasterKey(ctx context.Context, store Settings, ring Sealer) error {
	mark, err := ring.Seal("settings", []byte(settingMasterKey), "settings", settingMasterKey)
	if err != nil {
		return err
	}
	stands, err := store.SetOnce(ctx, settingMasterKey, mark)
	if err != nil {
		return err
	}
	if _, err := ring.Open("settings", stands, "settings", settingMasterKey); err != nil {
		return ErrMasterKey
	}
	return nil
}

// OpenSigner returns the signer of this store's tokens. The key is made at the
// first call; on several nodes that start at once the first one's stands.
func OpenSigner(ctx context.Context, store Settings, ring Sealer, issuer string) (*bearer.Signer, error) {
	sealed, err := store.Setting(ctx, settingTokenKey)
	if errors.Is(err, NotFound) {
		sealed, err = makeTokenKey(ctx, store, ring)
	}
	if err != nil {
		return nil, err
	}
	der, err := ring.Open("settings", sealed, "settings", settingTokenKey)
	if err != nil {
		return nil, fmt.Errorf("the token signing key can't be opened with this master key: %w", err)
	}
	return bearer.NewSigner(der, issuer)
}

func makeTokenKey(ctx context.Context, store Settings, ring Sealer) ([]byte, error) {
	der, err := bearer.NewKey(nil)
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal("settings", der, "settings", settingTokenKey)
	if err != nil {
		return nil, err
	}
	return store.SetOnce(ctx, settingTokenKey, sealed)
}
