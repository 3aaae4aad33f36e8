package program

import (
	"context"
	"crypto/rand"
	"fmt"

	"mqttwarden/registry"
	"mqttwarden/registry/secret"
)

// bootstrap gives a new store its first user. A password that nobody chose is
// printed before it is set: one that could not be shown must not stand.
func (a *app) bootstrap(ctx context.Context, c config) error {
	password, err := chosenPassword(c.signInConfig)
	if err != nil {
		return err
	}
	done, err := a.register.Service.Bootstrapped(ctx)
	switch {
	case err != nil:
		return err
	case done && password != "":
		a.log.Info("the admin password of the settings is not used: this is not the first start")
		return nil
	case done:
		return nil
	case !a.keyMade && !c.database.isPostgres():
		a.log.Warn("the store is new, but the master key is not: if this is not the first start, the store is elsewhere or was copied without its -wal file; stop, and put it back",
			"key", c.keyFile, "store", c.storeFile())
	}
	if password == "" {
		if password, err = a.printPassword(); err != nil {
			return err
		}
	}
	made, err := a.register.Service.Bootstrap(ctx, password.Reveal())
	if err != nil {
		return fmt.Errorf("admin-password: %w", err)
	}
	if !made {
		a.log.Warn("another node made the first user at this very moment: the password of this start is not used")
	}
	return a.register.Store.Checkpoint(ctx)
}

// chosenPassword returns the first password that the settings choose, if they do.
func chosenPassword(c signInConfig) (secret.Text, error) {
	password, err := secretOf(c.adminPassword, c.adminPasswordFile)
	if err != nil {
		return "", fmt.Errorf("admin-password-file: %w", err)
	}
	return password, nil
}

// printPassword makes a password and prints it.
func (a *app) printPassword() (secret.Text, error) {
	made, err := secret.RandomPassword(rand.Reader)
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(a.out, "\n  First start: user %q, password %s\n  It is shown this once and written nowhere.\n", registry.AdminUsername, made)
	if err != nil {
		return "", fmt.Errorf("print the first password: %w", err)
	}
	return secret.Text(made), nil
}
