package pgtest

import (
	"fmt"
	"net"
	"os"
	"testing"
)

// Standby returns a server that repeats what s does, and without which s commits
// nothing from now on. It is stopped when the test ends.
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		tb.Fatal(err)
	}
	standby := &Server{dir: dir, sslmode: s.sslmode}
	tb.Cleanup(func() {
		standby.Stop()
		_ = os.RemoveAll(dir)
	})
	if err := standby.follow(s); err != nil {
		tb.Fatal(err)
	}
	for _, statement := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		if err := s.Exec(statement); err != nil {
			tb.Fatal(err)
		}
	}
	return standby
}

func (s *Server) follow(primary *Server) error {
	if err := s.own(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		return err
	}
	if err := s.run("pg_basebackup", "--pgdata", s.data(), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
		"--host", host, "--port", port, "--username", superuser); err != nil {
		return err
	}
	if s.Addr, err = freeAddr(); err != nil {
		return err
	}
	return s.Start()
}

// Promote makes the server one that takes writes.
func (s *Server) Promote() error {
	if err := s.run("pg_ctl", "promote", "--pgdata", s.data(), "--wait"); err != nil {
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	return nil
}
