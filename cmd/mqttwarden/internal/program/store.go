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
// opens the store needs it.
func nodeConfig(c storeConfig, keys *secret.KeyRing, log *slog.Logger) (node.Config, error) {
	cfg := node.Config{
		Database: c.storeFile(), Keys: keys, Now: time.Now, Log: log,
		Hash: c.hash, HashWorkers: c.hashLimit, HashQueue: c.hashQueue, Policy: registry.DefaultPasswordPolicy(),
		CA: authorityConfig(c), CertificateLife: c.caLife, Enrolment: enrol.Settings{Overlap: c.caOverlap},
	}
	var err error
	if c.database.isPostgres() {
		cfg.Postgres, err = c.postgresOf(c.database)
	}
	return cfg, err
}

// openNode opens the register.
func openNode(ctx context.Context, cfg node.Config, c storeConfig) (*node.Node, error) {
	n, err := node.Open(ctx, cfg)
	if errors.Is(err, registry.ErrMasterKey) {
		err = fmt.Errorf("%s: %w", c.keyFile, err)
	}
	return n, err
}

// remembered returns the file that keeps over a stop which passwords were right, none if
// that is off; then what an earlier stop wrote goes.
func (c *storeConfig) remembered() (string, error) {
	file := filepath.Join(c.dataDir, "signins.sealed")
	if c.hashKept {
		return file, nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return "", nil
}

// authorityConfig says what our own authority writes into certificates.
func authorityConfig(c storeConfig) ca.Config {
	cfg := ca.Config{Name: c.caName}
	if c.caURL != "" {
		cfg.CRLURL, cfg.OCSPURL = c.caURL+"/pki/crl", c.caURL+"/pki/ocsp"
	}
	return cfg
}

// keysOfStore returns the master key of a store that is there: only serve makes one.
func keysOfStore(c storeConfig) (*secret.KeyRing, error) {
	if c.database.isPostgres() {
		return sharedKeys(c)
	}
	switch there, err := c.storeThere(); {
	case err != nil:
		return nil, err
	case !there:
		return nil, fmt.Errorf("data-dir: no store in %s: `mqttwarden serve` makes one", c.dataDir)
	}
	keys, err := secret.LoadKeyRing(c.keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("master-key-file: %s is missing, and what is secret in %s opens with no other: put the original back", c.keyFile, c.storeFile())
	}
	return keys, err
}

// sharedKeys returns the master key that all nodes on one PostgreSQL database share. No
// start makes it: two nodes would make two.
func sharedKeys(c storeConfig) (*secret.KeyRing, error) {
	keys, err := secret.LoadKeyRing(c.keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("master-key-file: %[1]s is missing, and all nodes on one PostgreSQL database share theirs: copy it from another node, or make the first one with `mqttwarden key new %[1]s`", c.keyFile)
	}
	return keys, err
}

// keysToServe returns the master key, and makes one where there is no store that
// needs another.
func keysToServe(c storeConfig, log *slog.Logger) (keys *secret.KeyRing, made bool, err error) {
	if c.database.isPostgres() {
		keys, err = sharedKeys(c)
		return keys, false, err
	}
	there, err := c.storeThere()
	if err != nil {
		return nil, false, err
	}
	if there {
		keys, err = keysOfStore(c)
		return keys, false, err
	}
	keys, err = secret.LoadKeyRing(c.keyFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, false, err
	}
	keys, err = secret.CreateKeyFile(c.keyFile)
	if err != nil {
		return nil, false, err
	}
	log.Info("master key made: keep a copy of this file, the store can't be read without it", "file", c.keyFile)
	return keys, true, nil
}
