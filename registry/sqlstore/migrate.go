package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema to the newest version that this program knows, each
// migration in a transaction of its own. A database that holds a newer one is
// refused before anything is changed: an older program must not write to a
// schema that it does not know.
func migrate(ctx context.Context, db *sql.DB, d dialect, log *slog.Logger) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d.migrations, db, files, goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(reserveClientIDs(log)))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("the schema has version %d, made by a newer program: this one knows versions up to %d", have, want)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(done) > 0 {
		log.InfoContext(ctx, "store migrated", "from", have, "to", want)
	}
	return nil
}
