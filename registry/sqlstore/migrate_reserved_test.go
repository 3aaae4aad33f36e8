package sqlstore

import (
	"context"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/logtest"
)

// Client IDs that users named exactly before version 9 are reserved; of two users who
// named the same the older one has it, which is told, and both can be changed still.
func TestClientIDsAreReservedAtTheMigration(t *testing.T) {
	const row = `, 'local', TRUE, FALSE, '', `
	path := olderStore(t, 8,
		`INSERT INTO users (id, username, username_fold, provider, active, auto_generated, publish_prefix, client_ids, grant_types,
			password_hash, password_set, enforce_mfa, created, updated, version) VALUES
			('u-1', 'younger', 'younger'`+row+`'["dev-1","dev-2"]', 'null', '', NULL, FALSE, 9, 9, 1),
			('u-2', 'older', 'older'`+row+`'["dev-1","gw-+","${username}"]', 'null', '', NULL, FALSE, 8, 8, 2),
			('u-3', 'none', 'none'`+row+`'null', 'null', '', NULL, FALSE, 7, 7, 3)`,
	)
	log, buf := logtest.New()
	s, err := Open(t.Context(), Config{Path: path, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	found, err := s.Reservations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]registry.UserID)
	for _, r := range found {
		got[r.ClientID] = r.User
	}
	if len(got) != 3 || got["dev-1"] != "u-2" || got["older"] != "u-2" || got["dev-2"] != "u-1" {
		t.Errorf("reserved: %v", got)
	}
	for _, want := range []string{"dev-1", "younger", "older"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("the log does not name %s:\n%s", want, buf)
		}
	}
	for _, id := range []registry.UserID{"u-1", "u-2"} {
		_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
			u, err := tx.User(ctx, id)
			if err != nil {
				return err
			}
			u.PublishPrefix = "p/"
			return tx.UpdateUser(ctx, u)
		})
		if err != nil {
			t.Errorf("%s can't be changed: %v", id, err)
		}
	}
}
