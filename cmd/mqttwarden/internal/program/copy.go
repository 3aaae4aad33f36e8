package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// copyCmd copies the register from one database to another, while no server runs.
type copyCmd struct {
	settings.ConfigFile
	dataConfig

	from, to database
}

// Sections implements settings.Command.
func (c *copyCmd) Sections() []settings.Section {
	return []settings.Section{
		{Title: "Copy", Settings: []settings.Setting{
			{Name: "from", Value: settings.Concealed(&c.from, databaseForms, parseDatabase), Required: true, Help: "Database to copy."},
			{Name: "to", Value: settings.Concealed(&c.to, databaseForms, parseDatabase), Required: true, Help: "Database to copy it into, which must be empty."},
		}, Check: func(p *settings.Problems) {
			if c.from.isPostgres() == c.to.isPostgres() {
				p.Add("from, to", "one of them must be sqlite, the other one PostgreSQL")
			}
		}},
		c.section(), c.postgres.section(),
	}
}

// Run copies and says what there is in the copy.
func (c *copyCmd) Run(ctx context.Context, s streams, given *settings.Reader) (err error) {
	if err := given.ReadAll(c); err != nil {
		return err
	}
	keys, err := secret.LoadKeyRing(c.keyFile)
	if err != nil {
		return fmt.Errorf("master-key-file: %w", err)
	}
	lock, err := lockData(c.dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	there, err := c.storeThere()
	switch {
	case err != nil:
		return err
	case there == c.to.isPostgres():
		return c.copy(ctx, s.out, keys)
	case there:
		return fmt.Errorf("to: there is a store in %s already", c.storeFile())
	default:
		return fmt.Errorf("from: there is no store in %s", c.dataDir)
	}
}

// copy copies, and removes a file again that is no whole copy.
func (c *copyCmd) copy(ctx context.Context, out io.Writer, keys *secret.KeyRing) (err error) {
	if !c.to.isPostgres() {
		defer func() {
			if err != nil {
				err = errors.Join(err, c.removeStore())
			}
		}()
	}
	from, err := c.open(ctx, c.from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := registry.CheckMasterKey(ctx, from, keys); err != nil {
		return fmt.Errorf("%s: %w", c.keyFile, err)
	}
	to, err := c.open(ctx, c.to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	copied, err := sqlstore.Copy(ctx, from, to)
	if err != nil {
		return err
	}
	return c.report(out, copied)
}

func (c *copyCmd) open(ctx context.Context, d database) (*sqlstore.Store, error) {
	if !d.isPostgres() {
		return sqlstore.Open(ctx, sqlstore.Config{Path: c.storeFile()})
	}
	postgres, err := c.postgresOf(d)
	if err != nil {
		return nil, err
	}
	postgres.Name = "mqttwarden copy"
	if d == c.from {
		if err := used(ctx, postgres); err != nil {
			return nil, err
		}
	}
	return sqlstore.Open(ctx, sqlstore.Config{Postgres: postgres})
}

// removeStore removes the file of a store, and those that SQLite has beside it.
func (c *copyCmd) removeStore() error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(c.storeFile() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *copyCmd) report(out io.Writer, copied []sqlstore.Copied) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TABLE\tROWS\tSHA-256")
	for _, t := range copied {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", t.Table, t.Rows, t.Digest)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Every row is the same in both. Serve the copy with the same master key, %s, and the original no more.\n", c.keyFile)
	return err
}
