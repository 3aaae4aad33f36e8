package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mqttwarden/registry"
)

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	s := openAt(t, path)
	fill(t, s, 1, 1)
	check := func(when string, want int) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != want {
			t.Fatalf("%s: got %d files, %v, want %d", when, len(files), err, want)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %s has the mode %v, %v, want 0600", when, f.Name(), info.Mode(), err)
			}
		}
	}
	check("open", 3) // the database, the log and its index
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed", 1)

	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-wal", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	fill2 := openAt(t, path)
	create(t, fill2, 1, 1)
	check("opened with modes too wide", 3)
}

func TestConnectionsAreSetUp(t *testing.T) {
	s := openTemp(t)
	pragma := func(db *sql.DB, name string) (value string) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	for _, tt := range []struct{ name, write, read string }{
		{"journal_mode", "wal", "wal"},
		{"synchronous", "2", "2"}, // FULL; those who read have nothing to sync
		{"foreign_keys", "1", "1"},
		{"busy_timeout", "5000", "5000"},
		{"query_only", "0", "1"},
		{"cache_size", "-16384", "-2000"},
		{"journal_size_limit", "67108864", "-1"},
	} {
		if got := pragma(s.write.db, tt.name); got != tt.write {
			t.Errorf("who writes has %s=%s, want %s", tt.name, got, tt.write)
		}
		if got := pragma(s.read.db, tt.name); got != tt.read {
			t.Errorf("who reads has %s=%s, want %s", tt.name, got, tt.read)
		}
	}
	if n := s.write.db.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections write, want 1", n)
	}
}

func TestPathsAreTakenAsTheyAre(t *testing.T) {
	for _, name := range []string{":memory:", "a b.db", "a?mode=memory", "a#b%20c%.db", "ünï.db"} {
		dir := t.TempDir()
		s := openAt(t, filepath.Join(dir, name))
		fill(t, s, 1, 1)
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	t.Chdir(t.TempDir())
	fill(t, openAt(t, ":memory:"), 1, 1)
	if _, err := os.Stat(":memory:"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string // in the error
	}{
		{"a directory that is not there", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, "no such file"},
		{"a directory in place of the file", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		{"a file of another kind", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a database"},
		{"a schema that a newer program made", func(t *testing.T, path string) {
			s := openAt(t, path)
			if _, err := s.write.db.ExecContext(t.Context(),
				`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, "newer program"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "test.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			before, _ := os.ReadFile(path)
			s, err := Open(t.Context(), Config{Path: path})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want it to name the path and say %q", err, tt.want)
			}
			if after, _ := os.ReadFile(path); !slices.Equal(before, after) {
				t.Errorf("the refused file was changed")
			}
		})
	}
}

func TestClosedStoreAnswersWithErrors(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Errorf("Ping: no error")
	}
	if _, err := s.RecordByName(t.Context(), "x"); err == nil {
		t.Errorf("RecordByName: no error")
	}
	if _, err := s.Update(t.Context(), func(context.Context, registry.Tx) error { return nil }); err == nil {
		t.Errorf("Update: no error")
	}
}

// A copy of the main file alone is what operators make.
func TestCheckpointBringsTheMainFileUpToDate(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Path: filepath.Join(dir, "live.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.SetOnce(t.Context(), "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "live.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "copy.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	alone, err := Open(t.Context(), Config{Path: filepath.Join(dir, "copy.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if got, err := alone.Setting(t.Context(), "key"); string(got) != "value" {
		t.Errorf("got %q, %v, want value", got, err)
	}
}

// TestFullDisk lets SQLite run out of pages, which to it is a full disk: the
// change at which that happens is refused, what came before stands, and when
// there is room again the store works on.
func TestFullDisk(t *testing.T) {
	s := openTemp(t)
	fill(t, s, 1, 1)
	limit := func(pages int) {
		t.Helper()
		if _, err := s.write.db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	var pages int
	if err := s.write.db.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit(pages + 10)
	made := 1
	var err error
	for err == nil && made < 10_000 {
		_, err = s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
			tx.Touch(registry.RoleChange, "r-1")
			for i := range 10 {
				u := registry.User{ID: registry.UserID(fmt.Sprint(made + i)), Username: fmt.Sprint("more-", made+i)}
				_ = tx.CreateUser(ctx, u) // a caller that does not look
			}
			return nil
		})
		if err == nil {
			made += 10
		}
	}
	if code, _, detail := registry.Public(err); code != registry.Unavailable || strings.Contains(detail, "disk") {
		t.Fatalf("got %v, want Unavailable, with the cause for the log only", err)
	}
	failed := s.Stats().FailedWrites
	if err := s.Ping(t.Context()); !errors.Is(err, registry.Unavailable) {
		t.Errorf("Ping while no change finds room: got %v, want Unavailable", err)
	}
	if got := s.Stats().FailedWrites; failed == 0 || got != failed+1 {
		t.Errorf("writes that failed: got %d and then %d, want one more for Ping", failed, got)
	}
	if n := len(read(t, s).Users); n != made {
		t.Errorf("there are %d users, want the %d that were acknowledged", n, made)
	}
	limit(1 << 20)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping with room again: %v", err)
	}
	create(t, s, 50_000, 100)
}

// TestPlans keeps statements from walking whole tables.
func TestPlans(t *testing.T) {
	s := openTemp(t)
	users := page{table: "users", columns: userColumns}
	users.is("auto_generated", false)
	want := "SCAN users USING INDEX sqlite_autoindex_users_2" // by name, up to the limit
	if got := plan(t, s, users.text(users.columns)+" ORDER BY username LIMIT $1 OFFSET $2"); !slices.Equal(got, []string{want}) {
		t.Errorf("a page of users: got %q, want %q", got, want)
	}
	for _, query := range slices.Concat(signIn(), smallChange(), []string{
		adminCandidates, rolesOfUsers(64), fingerprintsOfUsers(64), updateRole, putPermission,
		`SELECT ` + roleColumns + ` FROM roles WHERE name = $1`,
		`SELECT user_id FROM user_roles WHERE role_id = $1 ORDER BY user_id`,
		changesPast,
		`SELECT number, kind, id, at FROM changes WHERE at >= $1`,
		`SELECT ` + auditColumns + ` FROM audit ORDER BY id DESC LIMIT $1`,
		`DELETE FROM users WHERE id = $1`, `DELETE FROM roles WHERE id = $1`,
		`DELETE FROM tokens WHERE user_id = $1`, `DELETE FROM tokens WHERE expires < $1`,
	}) {
		for _, step := range plan(t, s, query) {
			switch {
			case !strings.HasPrefix(step, "SCAN"),
				strings.HasPrefix(step, "SCAN p USING INDEX permissions_on_everything"), // it holds but those sought
				strings.HasPrefix(step, "SCAN store"),                                   // has one row
				strings.HasPrefix(step, "SCAN audit USING INDEX"):                       // backwards, up to the limit
			default:
				t.Errorf("%s\n\twalks a table: %s", query, step)
			}
		}
	}
}

func plan(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "$"))
	for i := range args {
		args[i] = 1
	}
	rows, err := s.write.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
