package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/logtest"
	"mqttwarden/registry/sqlstore"
	"mqttwarden/registry/sqlstore/pgtest"
)

// Nodes that are rolled out together start together.
func TestManyNodesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	p := &sqlstore.Postgres{URL: pgtest.Database(t, "", nil)}
	const nodes = 8
	log := new(logtest.Buffer)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[registry.Identity]int)
	for range nodes {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), sqlstore.Config{Postgres: p, Log: slog.New(slog.NewTextHandler(log, nil))})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			id, err := s.Identity(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[id]++
		})
	}
	wg.Wait()
	if len(seen) != 1 {
		t.Errorf("%d nodes are %d stores: %v", nodes, len(seen), seen)
	}
	if n := strings.Count(log.String(), "store migrated"); n != 1 {
		t.Errorf("%d nodes migrated, want one:\n%s", n, log)
	}
}

// A schema apart lets one database hold several stores.
func TestAStoreIsInTheSchemaOfItsURL(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t, "", nil)
	db := pgtest.Open(t, url)
	var ids []string
	for _, schema := range []string{"one", "two"} {
		if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
			t.Fatal(err)
		}
		id, err := openAt(t, &sqlstore.Postgres{URL: url + "&search_path=" + schema}).Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.StoreID)
	}
	if ids[0] == ids[1] {
		t.Errorf("both schemas are the store %s", ids[0])
	}
}

// Names are in the order of their bytes in a database of whatever language.
func TestOrderDoesNotDependOnTheLanguageOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	if err := server.Exec(`CREATE DATABASE other TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'`); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, &sqlstore.Postgres{URL: server.URL("other")})
	want := []string{"B", "Z", "a", "b", "z", "É", "é"}
	_, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
		for i, name := range want {
			if err := tx.CreateRole(ctx, registry.Role{ID: registry.RoleID(fmt.Sprint(7 - i)), Name: name}); err != nil && !errors.Is(err, registry.Conflict) {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, registry.Conflict) { // B and b are one name
		t.Fatalf("got %v, want Conflict", err)
	}
	want = []string{"B", "C", "Z", "a", "d", "É", "ü"}
	_, err = s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
		for i, name := range want {
			if err := tx.CreateRole(ctx, registry.Role{ID: registry.RoleID(fmt.Sprint(7 - i)), Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	roles, _, err := s.Roles(t.Context(), registry.RoleQuery{})
	var got []string
	for _, r := range roles {
		got = append(got, r.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T) string // the URL
		want    string
	}{
		{"a database of another encoding", func(t *testing.T) string {
			if err := server.Exec(`CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`); err != nil {
				t.Fatal(err)
			}
			return server.URL("latin")
		}, "UTF8"},
		{"a database that is not there", func(*testing.T) string { return server.URL("nowhere") }, "nowhere"},
		{"a schema that a newer program made", func(t *testing.T) string {
			if err := server.Exec(`CREATE DATABASE newer`); err != nil {
				t.Fatal(err)
			}
			s, err := sqlstore.Open(t.Context(), sqlstore.Config{Postgres: &sqlstore.Postgres{URL: server.URL("newer")}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := pgtest.Open(t, server.URL("newer")).ExecContext(t.Context(),
				`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`); err != nil {
				t.Fatal(err)
			}
			return server.URL("newer")
		}, "newer program"},
		{"a server that takes no writes", func(t *testing.T) string {
			if err := server.Exec(`CREATE DATABASE reads`); err != nil {
				t.Fatal(err)
			}
			if err := server.Exec(`ALTER DATABASE reads SET default_transaction_read_only = on`); err != nil {
				t.Fatal(err)
			}
			return server.URL("reads")
		}, "read only"},
	} {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Postgres: &sqlstore.Postgres{URL: tt.prepare(t)}})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error about %q", tt.name, err, tt.want)
		}
	}
}

// Whoever gives no sslmode for a server elsewhere gets one that is verified.
func TestTLSIsVerifiedUnlessChosenOtherwise(t *testing.T) {
	t.Parallel()
	server, ca := pgtest.StartTLS(t)
	for _, tt := range []struct {
		name, query string
		want        string // in the error; empty: it opens
	}{
		{"verified by the CA that is named", "?sslmode=verify-full&sslrootcert=" + ca, ""},
		{"required without a CA", "?sslmode=require", ""},
		{"not by the CAs of the system", "?sslmode=verify-full", "certificate"},
		{"without TLS", "?sslmode=disable", "no encryption"},
	} {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Postgres: &sqlstore.Postgres{URL: "postgres://postgres@" + server.Addr + "/postgres" + tt.query}})
		if err == nil {
			_ = s.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A change that waits too long for others, and a database that is too slow, are told as
// such, in time.
func TestNothingWaitsForEver(t *testing.T) {
	t.Parallel()
	p := migrated(t)
	gate := pgtest.NewGate(t, p.URL)
	s := openAt(t, &sqlstore.Postgres{URL: gate.URL, Connections: 2, StatementTimeout: 300 * time.Millisecond, LockTimeout: 200 * time.Millisecond})
	touch := func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r"); return nil }
	for range 2 { // the second time everything is prepared
		gate.HoldAt(1000)
		if _, err := s.Update(t.Context(), touch); err != nil {
			t.Fatal(err)
		}
	}
	commit := gate.Passed()
	for _, tt := range []struct {
		name  string
		begin func() func() // returns what ends it
	}{
		{"another holds the lock", func() func() {
			tx, err := pgtest.Open(t, p.URL).BeginTx(t.Context(), &sql.TxOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), `SELECT one FROM store FOR UPDATE`); err != nil {
				t.Fatal(err)
			}
			return func() { _ = tx.Rollback() }
		}},
		{"the first statement hangs", func() func() { gate.HoldAt(1); return gate.Open }},
		{"the second statement hangs", func() func() { gate.HoldAt(2); return gate.Open }},
		{"the commit hangs", func() func() { gate.HoldAt(commit); return gate.Open }},
	} {
		failed := s.Stats().FailedWrites
		end := tt.begin()
		asked := time.Now()
		_, err := s.Update(t.Context(), touch)
		if !errors.Is(err, registry.Unavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want Unavailable", tt.name, err)
		}
		if took := time.Since(asked); took > 10*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
		if got := s.Stats().FailedWrites; got != failed+1 {
			t.Errorf("%s: %d failures are counted, want one more than %d", tt.name, got, failed)
		}
		end()
		for range 2 {
			if _, err := s.Update(t.Context(), touch); err != nil {
				t.Errorf("%s: after that: %v", tt.name, err)
			}
		}
	}
}

// A node that stops in the middle of a change keeps the others out for a while only.
func TestAChangeThatIsLeftOpenIsEnded(t *testing.T) {
	t.Parallel()
	p := migrated(t)
	gate := pgtest.NewGate(t, p.URL)
	stuck := openAt(t, &sqlstore.Postgres{URL: gate.URL, Connections: 2, StatementTimeout: 300 * time.Millisecond})
	other := openAt(t, &sqlstore.Postgres{URL: p.URL, LockTimeout: 20 * time.Second})
	touch := func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r"); return nil }
	if _, err := stuck.Update(t.Context(), touch); err != nil { // prepares what it needs
		t.Fatal(err)
	}
	held := gate.HoldAt(4) // it has begun, has the lock and its numbers
	done := make(chan error, 1)
	go func() { _, err := stuck.Update(t.Context(), touch); done <- err }()
	<-held
	if n, err := other.Update(t.Context(), touch); err != nil || n != 2 {
		t.Errorf("got change %d, %v, want 2", n, err)
	}
	gate.Open()
	if err := <-done; !errors.Is(err, registry.Unavailable) {
		t.Errorf("the change that was left open: got %v, want Unavailable", err)
	}
}

// What others are in the way of is tried again, and counted.
func TestADeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := migrated(t)
	s := openAt(t, p)
	update := func(f func(context.Context, registry.Tx) error) error { _, err := s.Update(t.Context(), f); return err }
	role := registry.Role{ID: "r", Name: "role"}
	if err := update(func(ctx context.Context, tx registry.Tx) error { return tx.CreateRole(ctx, role) }); err != nil {
		t.Fatal(err)
	}
	foreign, err := pgtest.Open(t, p.URL).BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Rollback() }()
	for _, statement := range []string{`SET deadlock_timeout = '1h'`, `UPDATE roles SET name = name`} {
		if _, err := foreign.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	runs := 0
	err = update(func(ctx context.Context, tx registry.Tx) error {
		if runs++; runs == 1 {
			go func() { // waits for the lock of the store
				_, _ = foreign.ExecContext(t.Context(), `UPDATE store SET one = one`)
				_ = foreign.Commit()
			}()
		}
		return tx.UpdateRole(ctx, registry.Role{ID: "r", Name: "renamed"})
	})
	if err != nil || runs != 2 || s.Stats().Retries != 1 {
		t.Errorf("got %v after %d runs, %d retries counted; want no error, 2 and 1", err, runs, s.Stats().Retries)
	}
}

// Connections that are lost while nothing is under way on them are replaced, and nobody
// hears of it.
func TestLostConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	gate := pgtest.NewGate(t, migrated(t).URL)
	s := openAt(t, &sqlstore.Postgres{URL: gate.URL})
	touch := func(_ context.Context, tx registry.Tx) error { tx.Touch(registry.RoleChange, "r"); return nil }
	var wg sync.WaitGroup
	for range 16 { // uses all connections
		wg.Go(func() {
			_, err := s.Position(t.Context())
			_, err2 := s.Update(t.Context(), touch)
			if err := errors.Join(err, err2); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, tt := range []struct {
		name string
		do   func() error
	}{
		{"one statement", func() error { _, err := s.Position(t.Context()); return err }},
		{"a snapshot", func() error { _, _, err := s.Users(t.Context(), registry.UserQuery{}); return err }},
		{"a change", func() error { _, err := s.Update(t.Context(), touch); return err }},
	} {
		gate.Cut()
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
