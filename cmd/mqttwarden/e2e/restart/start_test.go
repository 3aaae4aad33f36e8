package restart

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// How the program starts, and when it must not.

func TestFirstStartPrintsThePasswordOnce(t *testing.T) {
	p := rig.LaunchIn(t, t.TempDir())
	_, password, found := strings.Cut(p.Out.String(), `user "admin", password `)
	password, _, _ = strings.Cut(password, "\n")
	if !found || len(password) < 16 {
		t.Fatalf("no password in %q", p.Out)
	}
	for _, scheme := range []string{"mqtt", "http"} {
		if !strings.Contains(p.Out.String(), scheme+"://"+p.URLs[scheme]+"\n") {
			t.Errorf("%q does not tell the address of %s", p.Out, scheme)
		}
	}
	p.Login("admin", password)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	again := rig.LaunchIn(t, p.Dir)
	again.Login("admin", password)
	for _, text := range []string{p.Log.String(), again.Log.String(), again.Out.String()} {
		if strings.Contains(text, password) {
			t.Errorf("the password is told again in %q", text)
		}
	}
}

func TestLaterStartIgnoresTheAdminPassword(t *testing.T) {
	p := rig.Launch(t, "--admin-password", "another-password")
	if n := strings.Count(p.Log.String(), "the admin password of the settings is not used"); n != 1 {
		t.Errorf("%d log lines about it, want 1:\n%s", n, p.Log)
	}
	p.Login("admin", rig.AdminPassword)
	a, err := p.Send("POST", "/api/login", `{"username":"admin","password":"another-password"}`, "Content-Type", "application/json")
	if err != nil || a.Status != http.StatusUnauthorized {
		t.Errorf("the other password: %d, %v", a.Status, err)
	}
}

func TestStartIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"when another server has the data directory", func(t *testing.T, dir string) { rig.LaunchIn(t, dir) }, "another mqttwarden"},
		{"with another master key", func(t *testing.T, dir string) {
			key := filepath.Join(dir, "master.key")
			if err := os.Remove(key); err != nil {
				t.Fatal(err)
			}
			if _, _, err := rig.Attempt(t, nil, "", "key", "new", key); err != nil {
				t.Fatal(err)
			}
		}, "master.key"},
		{"without the master key", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "master.key")); err != nil {
				t.Fatal(err)
			}
		}, "master.key"},
		{"when others can read the master key", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "master.key"), 0o644); err != nil { // #nosec G302 -- that is the point
				t.Fatal(err)
			}
		}, "master.key"},
		{"when the master key is damaged", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte("nonsense\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "master.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := rig.UsedDir(t)
			tt.spoil(t, dir)
			_, log, err := rig.Attempt(t, nil, "", rig.ServeArgs(dir)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q\n%s", err, tt.want, log)
			}
		})
	}
}

// TestLaterSettingsWin gives a setting a value that is not accepted in every
// place: the complaint tells which was looked at.
func TestLaterSettingsWin(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, []byte("log-level: by-file\nlimits:\n  packet: by-file\nmax-stale: by-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := rig.Attempt(t, []string{"MQTTWARDEN_LOG_LEVEL=by-env", "MQTTWARDEN_LIMITS_PACKET=by-env", "MQTTWARDEN_CONFIG=" + file}, "",
		rig.ServeArgs(dir, "--log-level", "by-flag")...)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{`log-level: "by-flag"`, `limits-packet: "by-env"`, `max-stale: "by-file"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in: %v", want, err)
		}
	}
	if _, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(dir, "--config", file)...); err == nil || !strings.Contains(err.Error(), `log-level: "by-file"`) {
		t.Errorf("--config: %v", err)
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, []byte("mqtt-addrs: one too many\nlimits:\n  pakcet: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	_, _, err := rig.Attempt(t, []string{"MQTTWARDEN_LOG_LEVELS=x", "MQTTWARDEN_PORT=tcp://1.2.3.4:1883"}, "",
		rig.ServeArgs(data, "--config", file, "--log-format", "xml", "--mqtt-addr", "nowhere", "--tls-cert", "server.crt",
			"--redis", "http://user:hidden@host", "--limits-packet", "1")...)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{`"mqtt-addrs"`, `"limits-pakcet"`, "MQTTWARDEN_LOG_LEVELS", "log-format", `mqtt-addr: "nowhere"`, "tls-cert", "redis", "limits-packet"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in: %v", want, err)
		}
	}
	for _, unwanted := range []string{"MQTTWARDEN_PORT", "hidden"} {
		if strings.Contains(err.Error(), unwanted) {
			t.Errorf("%s is in: %v", unwanted, err)
		}
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
}

func TestSetPasswordReachesTheRunningServer(t *testing.T) {
	p := rig.LaunchQuick(t)
	p.User("gw1", rig.Both("a/#"))
	p.User("beside", rig.Both("a/#"))
	gw, beside := p.Connect(rig.As("gw1", "g")), p.Connect(rig.As("beside", "b"))
	out, _, err := rig.Attempt(t, nil, "a new pass-word\n", "user", "set-password", "gw1",
		"--data-dir", p.Dir, "--hash-memory", "64", "--hash-time", "1")
	if err != nil || !strings.Contains(out, "gw1") || strings.Contains(out, "a new pass-word") {
		t.Fatalf("%q, %v", out, err)
	}
	rig.WantCode(t, "DISCONNECT", gw.ExpectEnd(), rig.Administrative) // within the client's patience of 10 s
	rig.WantCode(t, "the old password", p.Dial(5).Connect(rig.As("gw1", "g")).ReasonCode, rig.BadCredentials)
	next := rig.As("gw1", "g")
	next.Password = "a new pass-word"
	p.Connect(next)
	beside.Ping()

	for _, tt := range []struct{ name, stdin string }{{"nobody", "a new pass-word\n"}, {"gw1", ""}, {"gw1", "1234\n"}} {
		if _, _, err := rig.Attempt(t, nil, tt.stdin, "user", "set-password", tt.name, "--data-dir", p.Dir); err == nil {
			t.Errorf("password %q of %s is set", tt.stdin, tt.name)
		}
	}
}

func TestProcessEndsAsAProcessShould(t *testing.T) {
	p := rig.Spawn(t, rig.UsedDir(t))
	p.User("gw1", rig.Both("a/#"))
	five := p.Connect(rig.As("gw1", "five"))
	three := p.Dial(4)
	three.MustConnect(rig.As("gw1", "three"))
	silent := p.Dial(5) // has sent nothing yet

	health := func() error { return rig.Self(t, "healthcheck", "--http-addr", p.URLs["http"]).Run() }
	if err := health(); err != nil {
		t.Errorf("healthcheck of a server that runs: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("exit: %v, want code 0\n%s", err, p.Log)
	}
	rig.WantCode(t, "DISCONNECT", five.ExpectEnd(), rig.ShuttingDown)
	three.ExpectEnd()
	silent.ExpectEnd()
	if err := health(); err == nil || err.Error() != "exit status 1" {
		t.Errorf("healthcheck of a server that is gone: %v, want exit status 1", err)
	}
	if err := rig.Self(t, "serve", "--no-such-flag").Run(); err == nil || err.Error() != "exit status 1" {
		t.Errorf("unknown flag: %v, want exit status 1", err)
	}
}
