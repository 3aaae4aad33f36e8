package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/node"
	"mqttwarden/registry/secret"
)

// nodeConfig says what the register works with, as far as every command that
// opens the store needs it. The master key is made if there is none yet.
func nodeConfig(c storeConfig, log *slog.Logger) (node.Config, error) {
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return node.Config{}, err
	}
	keys, err := masterKey(c.keyFile, log)
	if err != nil {
		return node.Config{}, err
	}
	return node.Config{
		Database: filepath.Join(c.dataDir, "mqttwarden.db"), Keys: keys, Now: time.Now, Log: log,
		Hash: c.hash, HashWorkers: c.hashLimit, Policy: registry.DefaultPasswordPolicy(),
		CA: authorityConfig(c), CertificateLife: c.caLife, Enrolment: enrol.Settings{Overlap: c.caOverlap},
	}, nil
}

// openNode opens the register.
func openNode(ctx context.Context, cfg node.Config, c storeConfig) (*node.Node, error) {
	n, err := node.Open(ctx, cfg)
	if errors.Is(err, registry.ErrMasterKey) {
		err = fmt.Errorf("%s: %w", c.keyFile, err)
	}
	return n, err
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
