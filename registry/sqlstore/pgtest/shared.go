package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Run runs the tests of a package, which share one server and stop it in the end. It is
// what their TestMain calls.
func Run(m *testing.M) int {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shared is the server of all tests of a package, started by the first that asks.
var shared sharedServer //nolint:gochecknoglobals // one for each program

type sharedServer struct {
	once   sync.Once
	root   string
	server *Server
	err    error
	names  atomic.Int64 // of databases
}

func (s *sharedServer) start() (*Server, error) {
	s.once.Do(func() {
		if s.root, s.err = os.MkdirTemp("", "pgtest"); s.err != nil {
			return
		}
		if s.err = os.Chmod(s.root, 0o711); s.err != nil { // #nosec G302 -- the server's user passes through
			return
		}
		dir := filepath.Join(s.root, "shared")
		if s.err = os.Mkdir(dir, 0o700); s.err != nil {
			return
		}
		s.server, s.err = newServer(dir)
	})
	return s.server, s.err
}

func (s *sharedServer) stop() error {
	if s.server != nil {
		s.server.Stop()
	}
	if s.root == "" {
		return nil
	}
	return os.RemoveAll(s.root)
}

// Start starts a server for one test alone, which may stop it, and stops it when the
// test ends. Without PostgreSQL the test fails.
func Start(tb testing.TB) *Server {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgtest") // not of the test: another user must be able to pass through
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newServer(dir)
	tb.Cleanup(func() {
		if s != nil {
			s.Stop()
		}
		_ = os.RemoveAll(dir)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Database returns the URL of a new database on the server that tests share. fill, if
// it is not nil, is called for the first database with that name, and the others are
// copies of what it made. The database goes with the test.
func Database(tb testing.TB, name string, fill func(url string) error) string {
	tb.Helper()
	s, err := shared.start()
	if err != nil {
		tb.Fatal(err)
	}
	template := "template0"
	if fill != nil {
		if template, err = templates.make(s, name, fill); err != nil {
			tb.Fatal(err)
		}
	}
	database := fmt.Sprint("test_", shared.names.Add(1))
	if err := s.Exec("CREATE DATABASE " + database + " TEMPLATE " + template); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { // whoever still uses it loses it
		if err := s.Exec("DROP DATABASE " + database + " WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return s.URL(database)
}

// templates are the databases that others are copies of.
var templates templateSet //nolint:gochecknoglobals // on the one server

type templateSet struct {
	mu   sync.Mutex
	made map[string]error
}

func (t *templateSet) make(s *Server, name string, fill func(url string) error) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	database := "template_" + name
	if err, ok := t.made[name]; ok {
		return database, err
	}
	err := s.Exec("CREATE DATABASE " + database + " TEMPLATE template0")
	if err == nil {
		err = fill(s.URL(database))
	}
	if t.made == nil {
		t.made = make(map[string]error)
	}
	t.made[name] = err
	return database, err
}

// Exec runs a statement on the server itself.
func (s *Server) Exec(statement string) error {
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), statement)
	return errors.Join(err, db.Close())
}
