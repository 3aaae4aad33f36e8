package sqlstore

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

const (
	verified = "verified" // in each attempt to connect
	tried    = "tried"    // TLS in some
	plain    = "plain"
)

// protection says how a connection is protected.
func protection(cfg *pgx.ConnConfig) string {
	attempts := []*tls.Config{cfg.TLSConfig}
	for _, f := range cfg.Fallbacks {
		attempts = append(attempts, f.TLSConfig)
	}
	weak := slices.ContainsFunc(attempts, func(c *tls.Config) bool { return c == nil || c.InsecureSkipVerify && c.VerifyPeerCertificate == nil })
	switch {
	case !weak:
		return verified
	case slices.ContainsFunc(attempts, func(c *tls.Config) bool { return c != nil }):
		return tried
	default:
		return plain
	}
}

func TestServersElsewhereAreVerified(t *testing.T) {
	for _, tt := range []struct{ url, env, want string }{
		{"postgres://u@db.example/x", "", verified},
		{"postgres://u@db.example/x?search_path=y", "", verified},
		{"postgres://u@10.0.0.1:6432/x", "", verified},
		{"postgresql://u@localhost,db.example/x", "", verified},
		{"postgres://u@127.0.0.1:5432,10.0.0.1:5432/x", "", verified},
		{"postgres://u@db.example/x?sslmode=verify-full", "", verified},
		{"postgres://u@db.example/x?sslmode=prefer", "", tried},
		{"postgres://u@db.example/x?sslmode=disable", "", plain},
		{"postgres://u@db.example/x", "disable", plain},
		{"postgres://u@localhost/x", "", tried},
		{"postgres://u@127.0.0.2/x", "", tried},
		{"postgres://u@[::1]/x", "", tried},
		{"postgres:///x?host=/run/postgresql", "", plain}, // a socket
	} {
		t.Setenv("PGSSLMODE", tt.env)
		cfg, err := (&Postgres{URL: tt.url}).config()
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		got := protection(cfg)
		if got != tt.want {
			t.Errorf("%s (PGSSLMODE %q): got %s, want %s", tt.url, tt.env, got, tt.want)
		}
	}
}

func TestURLsThatAreNone(t *testing.T) {
	for _, url := range []string{
		"", "sqlite", "mysql://u:secret@h/x", "host=h password=secret", "postgres://u:secret@h:port/x", "postgres://u:secret@h/x?sslmode=perhaps",
		"postgres://u:secret@h/x?sslrootcert=/nowhere/ca.crt&sslmode=verify-full", "postgres://u:sec ret@h/x", "postgres://u:secret@h/x?connect_timeout=soon",
	} {
		if err := (&Postgres{URL: url}).Check(); err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: got %v, want an error that does not hold the password", url, err)
		}
	}
}
