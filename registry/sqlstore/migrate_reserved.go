package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/pressly/goose/v3"

	"mqttwarden/registry"
)

// reservedTable is the schema of version 9: client IDs that are one user's alone.
var reservedTable = []string{
	`CREATE TABLE reserved_client_ids (
		client_id TEXT NOT NULL PRIMARY KEY,
		user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
	)`,
	`CREATE INDEX reserved_client_ids_user ON reserved_client_ids (user_id)`,
}

// reserveClientIDs is the migration to version 9. It reserves the client IDs that users
// name exactly already. Of two users who name the same the older one gets it.
func reserveClientIDs(log *slog.Logger) *goose.Migration {
	up := func(ctx context.Context, tx *sql.Tx) error {
		for _, statement := range reservedTable {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		users, err := usersWithClientIDs(ctx, tx)
		if err != nil {
			return err
		}
		return reserveAll(ctx, tx, users, log)
	}
	return goose.NewGoMigration(9, &goose.GoFunc{RunTx: up}, nil)
}

// usersWithClientIDs returns the users that have a list, the oldest first.
func usersWithClientIDs(ctx context.Context, tx *sql.Tx) (users []registry.User, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, username, client_ids FROM users
		WHERE client_ids NOT IN ('null', '[]') ORDER BY COALESCE(created, 0), id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u registry.User
		if err := rows.Scan(&u.ID, &u.Username, asJSON{&u.ClientIDs}); err != nil {
			return nil, fmt.Errorf("the client IDs of a user: %w", err)
		}
		users = append(users, u)
	}
	return users, rows.Err()
}

func reserveAll(ctx context.Context, tx *sql.Tx, users []registry.User, log *slog.Logger) error {
	add, err := tx.PrepareContext(ctx, insertReservation+` ($1, $2)`)
	if err != nil {
		return err
	}
	defer add.Close()
	owners := make(map[string]string) // their names
	for i := range users {
		u := &users[i]
		for _, clientID := range u.ReservedClientIDs() {
			if owner, taken := owners[clientID]; taken {
				log.WarnContext(ctx, "two users name the same client ID: it is reserved for the older one",
					"client", clientID, "reserved_for", owner, "not_for", u.Username)
				continue
			}
			owners[clientID] = u.Username
			if _, err := add.ExecContext(ctx, clientID, u.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
