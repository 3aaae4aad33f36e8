package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/bearer"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// tokenIssuer is what our tokens name as issuer and audience.
const tokenIssuer = "mqttwarden"

// opened is the store with what is needed to change it.
type opened struct {
	store    *sqlstore.Store
	keys     *secret.KeyRing
	signer   *bearer.Signer
	pool     *secret.Pool
	verifier *secret.Verifier
	issuer   *registry.Issuer
	service  *registry.Service
}

// openStore opens the store, unlocks it with the master key, and makes both if
// there are none yet. changed is told of every commit that took a number.
func openStore(ctx context.Context, c storeConfig, tokenMax time.Duration, changed func(), log *slog.Logger) (_ *opened, err error) {
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return nil, err
	}
	keys, err := masterKey(c.keyFile, log)
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Config{Path: filepath.Join(c.dataDir, "mqttwarden.db"), Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	if err := registry.CheckMasterKey(ctx, store, keys); err != nil {
		return nil, fmt.Errorf("%s: %w", c.keyFile, err)
	}
	signer, err := registry.OpenSigner(ctx, store, keys, tokenIssuer)
	if err != nil {
		return nil, err
	}
	issuer, err := registry.OpenIssuer(ctx, store, keys, authorityConfig(c), time.Now)
	if err != nil {
		return nil, err
	}
	workers := c.hashLimit
	if workers == 0 {
		workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	pool := secret.NewPool(secret.PoolConfig{Params: c.hash, Workers: workers})
	verifier := secret.NewVerifier(pool, secret.VerifierConfig{Now: time.Now})
	service := registry.NewService(registry.ServiceConfig{
		Store: store, Passwords: pool, Checker: verifier, Signer: signer,
		Policy: registry.DefaultPasswordPolicy(), MaxTokenLife: tokenMax,
		Certificates: registry.CertificateConfig{Issuer: issuer, Life: c.caLife, Overlap: c.caOverlap},
		Changed:      changed, Now: time.Now, Log: log,
	})
	return &opened{store, keys, signer, pool, verifier, issuer, service}, nil
}

// authorityConfig says what our own authority writes into certificates.
func authorityConfig(c storeConfig) ca.Config {
	cfg := ca.Config{Name: c.caName}
	if c.caURL != "" {
		cfg.CRLURL, cfg.OCSPURL = c.caURL+"/pki/crl", c.caURL+"/pki/ocsp"
	}
	return cfg
}

// masterKey reads the master key, and makes one where none is.
func masterKey(path string, log *slog.Logger) (*secret.KeyRing, error) {
	keys, err := secret.LoadKeyRing(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	keys, err = secret.CreateKeyFile(path)
	if errors.Is(err, fs.ErrExist) { // another start made it meanwhile
		return secret.LoadKeyRing(path)
	}
	if err == nil {
		log.Info("master key made: keep a copy of this file, the store can't be read without it", "file", path)
	}
	return keys, err
}
