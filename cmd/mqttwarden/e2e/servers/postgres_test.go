package servers

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/rig"
	"mqttwarden/registry/sqlstore/pgtest"
)

// inPostgres are the arguments of a program whose register is in a database.
func inPostgres(url string, args ...string) []string {
	return append([]string{
		"--database", url, "--admin-password", rig.AdminPassword,
		"--postgres-statement-timeout", "1s", "--postgres-connect-timeout", "1s", "--postgres-lock-timeout", "1s",
	}, args...)
}

// keyDir returns a data directory with nothing but a master key.
func keyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, _, err := rig.Attempt(t, nil, "", "key", "new", filepath.Join(dir, "master.key")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nextTo returns a data directory with the master key of another.
func nextTo(t *testing.T, dir string) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	return other
}

func TestTwoNodesOnOneDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	args := inPostgres(server.URL("postgres"))
	one := rig.LaunchIn(t, keyDir(t), args...)
	two := rig.LaunchIn(t, nextTo(t, one.Dir), args...)
	id := one.User("gw1", rig.Both("a/#"))
	gw := two.Connect(rig.As("gw1", "gw1"))
	rig.WantCode(t, "publish", gw.Publish("a/1", "", 1, false)&^0x10, rig.Success)
	one.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"password": "another one"})
	rig.WantCode(t, "DISCONNECT", gw.ExpectEnd(), rig.Administrative)
	next := rig.As("gw1", "gw1")
	next.Password = "another one"
	two.Connect(next)
}

// A store that can't be asked is told apart from a user that is not there, and what can
// be answered from memory is.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	p := rig.LaunchIn(t, keyDir(t), inPostgres(server.URL("postgres"))...)
	id := p.User("known", rig.Both("a/#"))
	p.Connect(rig.As("known", "known"))
	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"killed", server.Stop, func() { must(t, server.Start()) }},
		{"frozen", server.Freeze, server.Thaw},
	} {
		t.Run(outage.name, func(t *testing.T) {
			p := p.At(t)
			stranger := "stranger-" + outage.name
			p.User(stranger, rig.Both("a/#"))
			outage.begin()
			gw := p.Connect(rig.As("known", "known"))
			rig.WantCode(t, "publish of who is known", gw.Publish("a/1", "", 1, false)&^0x10, rig.Success)
			for _, name := range []string{stranger, "nobody-at-all"} {
				asked := time.Now()
				rig.WantCode(t, "CONNECT of "+name, p.Dial(5).Connect(rig.As(name, name)).ReasonCode, rig.Unavailable)
				if took := time.Since(asked); took > 10*time.Second {
					t.Errorf("%s waited %v for an answer", name, took)
				}
			}
			a, err := p.Do("PUT", "/users/"+id, rig.Object{"username": "renamed"})
			if err != nil || a.Status != http.StatusServiceUnavailable {
				t.Errorf("a change: %d %s, %v, want 503", a.Status, a.Body, err)
			}
			if a, err := p.Send("GET", "/readyz", ""); err != nil || a.Status != http.StatusServiceUnavailable {
				t.Errorf("readyz: %d %s, %v, want 503", a.Status, a.Body, err)
			}
			outage.end()
			rig.Eventually(t, func() error {
				a, err := p.Send("GET", "/readyz", "")
				if err == nil && a.Status != http.StatusOK {
					err = fmt.Errorf("not ready again: %d %s", a.Status, a.Body)
				}
				return err
			})
			p.Connect(rig.As(stranger, stranger))
			if a := p.Must(http.StatusOK, "GET", "/users/"+id, nil); !strings.Contains(a.Body, `"known"`) {
				t.Errorf("a change that was refused was made: %s", a.Body)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The password of the database is nowhere to be read.
func TestThePasswordOfTheDatabaseIsNotTold(t *testing.T) {
	t.Parallel()
	const password = "hunter2hunter2"
	server := pgtest.Start(t)
	away := "127.0.0.1:1"
	dir := keyDir(t)
	file := filepath.Join(dir, "password")
	must(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	for _, tt := range []struct {
		name string
		args []string
		want string // in the error
	}{
		{"a malformed URL", []string{"--database", "postgres://u:" + password + "@host:port/db"}, "database:"},
		{"an unknown scheme", []string{"--database", "mysql://u:" + password + "@host/db"}, "database:"},
		{"a parameter that is none", []string{"--database", "postgres://u:" + password + "@" + server.Addr + "/postgres?sslmode=perhaps"}, "database:"},
		{"a server that is away", []string{"--database", "postgres://u:" + password + "@" + away + "/db"}, away},
		{"a user that is not there", []string{"--database", "postgres://u:" + password + "@" + server.Addr + "/postgres"}, server.Addr},
		{"a password in a file", []string{"--database", "postgres://u@" + away + "/db", "--postgres-password-file", file}, away},
		{"two passwords", []string{"--database", "postgres://u@" + away + "/db", "--postgres-password-file", file, "--postgres-password", password}, "must not both"},
		{"a file that is not there", []string{"--database", "postgres://u@" + away + "/db", "--postgres-password-file", file + "x"}, "postgres-password-file"},
	} {
		_, log, err := rig.Attempt(t, nil, "", rig.ServeArgs(dir, append(tt.args, "--log-level", "debug")...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error about %s", tt.name, err, tt.want)
		}
		if strings.Contains(log, password) || err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the password is told: %v\n%s", tt.name, err, log)
		}
	}
}

// A command that works on a store makes none: it may have been given the wrong database.
func TestOnlyServeMakesAStoreInPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url, dir := server.URL("postgres"), keyDir(t)
	for _, args := range [][]string{
		{"ca", "init", "--data-dir", dir, "--database", url},
		{"user", "set-password", "admin", "--data-dir", dir, "--database", url},
		{"copy", "--data-dir", dir, "--from", url, "--to", "sqlite"},
	} {
		_, _, err := rig.Attempt(t, nil, "a new password\n", args...)
		if err == nil || !strings.Contains(err.Error(), "no store in the PostgreSQL database") {
			t.Errorf("%v: got %v, want to be told that there is no store", args, err)
		}
	}
	if made := pgtest.Column(t, pgtest.Open(t, url), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`); len(made) > 0 {
		t.Errorf("they made the tables %v", made)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 2 { // the key and the lock
		t.Errorf("they left %v, %v", files, err)
	}
}

func TestWithPostgresTheMasterKeyMustBeThere(t *testing.T) {
	t.Parallel()
	_, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(t.TempDir(), "--database", "postgres://u@127.0.0.1:1/db")...)
	if err == nil || !strings.Contains(err.Error(), "mqttwarden key new") {
		t.Errorf("got %v, want to be told how a key is made", err)
	}
}

// What a server kept in SQLite serves from PostgreSQL after a copy, and back.
func TestACopyIsServed(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.URL("postgres")
	p := rig.Launch(t)
	p.User("gw1", rig.Both("a/#"))
	token := p.Token
	refused := func(want string, args ...string) {
		t.Helper()
		_, _, err := rig.Attempt(t, nil, "", append([]string{"copy", "--data-dir", p.Dir}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("copy %v: got %v, want an error about %q", args, err, want)
		}
	}
	refused("another mqttwarden uses", "--from", "sqlite", "--to", url)
	must(t, p.Stop())
	refused("one of them must be sqlite", "--from", "sqlite", "--to", "sqlite")
	refused("a store in", "--from", url, "--to", "sqlite")
	out, _, err := rig.Attempt(t, nil, "", "copy", "--data-dir", p.Dir, "--from", "sqlite", "--to", url)
	must(t, err)
	if !strings.Contains(out, "users") || !strings.Contains(out, "Every row is the same") {
		t.Errorf("copy says:\n%s", out)
	}
	refused("not empty", "--from", "sqlite", "--to", url)

	served := func(args ...string) {
		t.Helper()
		p := rig.LaunchIn(t, p.Dir, args...)
		p.Token = token // of the original
		gw := p.Connect(rig.As("gw1", "gw1"))
		rig.WantCode(t, "publish", gw.Publish("a/1", "", 1, false)&^0x10, rig.Success)
		p.Must(http.StatusOK, "GET", "/users", nil)
		must(t, p.Stop())
	}
	must(t, os.Remove(filepath.Join(p.Dir, "mqttwarden.db")))
	served(inPostgres(url)...)
	_, _, err = rig.Attempt(t, nil, "", "copy", "--data-dir", p.Dir, "--from", url, "--to", "sqlite")
	must(t, err)
	server.Stop()
	served()
}

// The primary dies while changes are made, and a standby that has all that was committed
// takes over: what was acknowledged is there, and nothing is half there.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t)
	standby := primary.Standby(t)
	url := strings.Replace(primary.URL("postgres"), primary.Addr, primary.Addr+","+standby.Addr, 1)
	p := rig.LaunchIn(t, keyDir(t), inPostgres(url)...)
	known := p.User("known", rig.Both("a/#"))
	p.Connect(rig.As("known", "known"))

	const before, after = 20, 20
	var acknowledged []string
	role := p.Role("writers", rig.Both("b/#"))
	for i := 0; len(acknowledged) < before+after; i++ {
		name := fmt.Sprint("user-", i)
		a, err := p.Do("POST", "/users", rig.Object{"username": name, "password": rig.SecretOf(name), "identityProvider": "local", "roles": []string{role}})
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Status == http.StatusCreated:
			acknowledged = append(acknowledged, name)
		case a.Status != http.StatusServiceUnavailable:
			t.Fatalf("%d %s, want 503 while there is no primary", a.Status, a.Body)
		}
		if len(acknowledged) == before && primary != nil {
			primary.Stop()
			primary = nil
			must(t, standby.Promote())
		}
	}
	for _, name := range acknowledged {
		gw := p.Connect(rig.As(name, name))
		rig.WantCode(t, "publish of "+name, gw.Publish("b/1", "", 1, false)&^0x10, rig.Success)
	}
	p.Must(http.StatusOK, "PUT", "/users/"+known, rig.Object{"password": "another one"})
	rig.WantCode(t, "CONNECT with the old password", p.Dial(5).Connect(rig.As("known", "known")).ReasonCode, rig.BadCredentials)
}
