package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"mqttwarden/registry"
)

// identify gives a new store its identity: a random id, and the first epoch.
func (s *Store) identify(ctx context.Context) error {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return s.write.run(ctx, s.dialect.writing, func(t *sqlTx) error {
		_, err := t.exec(ctx, `INSERT INTO store (one, id, epoch, change, audit) VALUES (1, $1, 1, 0, 0)
			ON CONFLICT (one) DO NOTHING`, hex.EncodeToString(id[:]))
		return err
	})
}

// Identity implements registry.Settings.
func (s *Store) Identity(ctx context.Context) (registry.Identity, error) {
	return look(ctx, s.reader, func(t *sqlTx) (registry.Identity, error) {
		return one(ctx, t, func(r row) (i registry.Identity, err error) {
			err = r.Scan(&i.StoreID, &i.Epoch)
			return i, err
		}, `SELECT id, epoch FROM store`)
	})
}

// Setting implements registry.Settings.
func (s *Store) Setting(ctx context.Context, key string) ([]byte, error) {
	return look(ctx, s.reader, func(t *sqlTx) ([]byte, error) { return setting(ctx, t, key) })
}

// SetOnce implements registry.Settings.
func (s *Store) SetOnce(ctx context.Context, key string, value []byte) (stands []byte, err error) {
	if value == nil {
		value = []byte{} // or else it would be NULL
	}
	err = s.write.run(ctx, s.dialect.writing, func(t *sqlTx) error {
		_, err := t.exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, value)
		if err != nil {
			return err
		}
		stands, err = setting(ctx, t, key)
		return err
	})
	return stands, err
}

func setting(ctx context.Context, t *sqlTx, key string) ([]byte, error) {
	value, err := one(ctx, t, column[[]byte], `SELECT value FROM settings WHERE key = $1`, key)
	return value, missing(err, "setting")
}
