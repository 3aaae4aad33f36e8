package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestTourOfTheReadme does what README.md says, in one shell, and wants what it
// says comes out. Ports are others, and the program is this very test.
func TestTourOfTheReadme(t *testing.T) {
	t.Parallel() // it waits a lot
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, printed := tour(t, string(readme))

	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stub := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", rig.ActAsProgram, program)
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/mqttwarden"), []byte(stub), 0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	mqtt, mqtts, http := freePort(t), freePort(t), freePort(t)
	script = strings.NewReplacer(
		"make build\n", "", "sleep 0.5\n", "sleep 2\n", // for the subscriber to be there, on a busy machine, too
		"8883", mqtts, "8080", http,
		"_sub ", "_sub -p "+mqtt+" ", "_pub ", "_pub -p "+mqtt+" ", // of the command-line clients
	).Replace(script)

	ctx, cancel := context.WithTimeout(t.Context(), 2*rig.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e") // #nosec G204 -- our README
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MQTTWARDEN_MQTT_ADDR=127.0.0.1:"+mqtt, "MQTTWARDEN_HTTP_ADDR=127.0.0.1:"+http)
	cmd.Stdin = strings.NewReader(script)
	out, err := os.Create(filepath.Join(dir, "out")) // no pipe: what it leaves running would keep that open
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it leaves running ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		awaitEnd(t, filepath.Join(dir, "tour/data")) // else it may write while its directory is removed
	}()
	ended := cmd.Wait()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if ended != nil {
		log, err := os.ReadFile(filepath.Join(dir, "tour/log"))
		t.Fatalf("%v\n%s\nlog of the server (%v):\n%s", ended, text, err, log)
	}
	for _, line := range printed {
		// An ellipsis stands for what is another each time.
		pattern := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".+")
		if !appears(t, regexp.MustCompile("(?m)^"+pattern+"$"), out.Name(), filepath.Join(dir, "tour/seen"), filepath.Join(dir, "tour/live")) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// appears waits for a line in one of the files: those that listen may be slower
// than the shell that shows what they have heard.
func appears(t *testing.T, line *regexp.Regexp, files ...string) bool {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(rig.Patience); ; {
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if line.Match(b) {
				return true
			}
		}
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
}

// awaitEnd waits for the server that uses a data directory, if any does, to end.
func awaitEnd(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(rig.Patience); ; {
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if os.IsNotExist(err) {
			return
		}
		if err == nil {
			err = errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), lock.Close())
		}
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Errorf("the server of the tour goes on: %v", err)
			return
		}
	}
}

// tour returns the shell blocks between the markers of the README, and the lines
// that it says are printed, which are indented by four.
func tour(t *testing.T, readme string) (script string, printed []string) {
	t.Helper()
	_, text, begins := strings.Cut(readme, "<!-- tour -->")
	text, _, ends := strings.Cut(text, "<!-- /tour -->")
	if !begins || !ends {
		t.Fatal("the README has no tour")
	}
	inside := false
	var sh strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case inside:
			sh.WriteString(line)
		case strings.HasPrefix(line, "    "):
			printed = append(printed, strings.TrimSpace(line))
		}
	}
	if sh.Len() == 0 || len(printed) == 0 {
		t.Fatal("the tour shows nothing")
	}
	return sh.String(), printed
}

// freePort returns a port that nobody uses now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
