package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mqttwarden/registry/logtest"
)

const (
	// adminPassword is that of the user admin in every store that launch starts on.
	adminPassword = "the-admin's-password"
	// patience is how long something may take that must happen. Much of it is
	// for machines that do other things besides.
	patience = 30 * time.Second
)

// cheap are settings that make a hash cost nothing to speak of, and let the
// system choose ports.
var cheap = []string{
	"--hash-memory", "64", "--hash-time", "1", "--hash-threads", "1",
	"--mqtt-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
}

// program is the whole program that serves: run by run within the test, as main
// would, or a process of its own.
type program struct {
	tb       testing.TB
	dir      string
	out, log *logtest.Buffer
	urls     map[string]string // host:port by scheme
	client   *http.Client
	token    string // of admin; see asAdmin

	process *os.Process // nil within the test
	cancel  func()      // asks it to end
	done    chan struct{}
	err     error // how it ended, once done is closed
}

// launch starts the program on a store that has had its first start, with
// further settings if there are any. It ends with the test.
func launch(tb testing.TB, args ...string) *program {
	tb.Helper()
	return launchIn(tb, usedDir(tb), args...)
}

// launchIn starts the program on a data directory.
func launchIn(tb testing.TB, dir string, args ...string) *program {
	tb.Helper()
	p := newProgram(tb, dir)
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.err = run(ctx, serveArgs(dir, args...), nil, strings.NewReader(""), p.out, p.log)
	}()
	p.started()
	return p
}

// spawn starts the program as a process, for what only a process can: be killed,
// and exit with a code.
func spawn(tb testing.TB, dir string, args ...string) *program {
	tb.Helper()
	p := newProgram(tb, dir)
	cmd := self(tb, serveArgs(dir, args...)...)
	cmd.Stdout, cmd.Stderr = p.out, p.log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p.process = cmd.Process
	p.cancel = func() { _ = cmd.Process.Signal(syscall.SIGTERM) }
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	p.started()
	return p
}

// self returns the command that runs the program with such arguments.
func self(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), path, args...) // #nosec G204 -- ourselves
	cmd.Env = []string{actAsProgram + "=1"}
	return cmd
}

func newProgram(tb testing.TB, dir string) *program {
	return &program{
		tb: tb, dir: dir, out: new(logtest.Buffer), log: new(logtest.Buffer), done: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: patience},
	}
}

// started waits for the program to say where it listens.
func (p *program) started() {
	p.tb.Helper()
	if !p.log.Await("msg=running", p.done, patience) {
		_ = p.stop()
		p.tb.Fatalf("the program does not start: %v\n%s", p.err, p.log)
	}
	p.urls = addresses(p.log.String())
	p.tb.Cleanup(func() {
		if err := p.stop(); err != nil && p.process == nil {
			p.tb.Errorf("the program: %v", err)
		}
	})
}

// stop ends the program as SIGTERM does, and returns how it ended.
func (p *program) stop() error {
	p.client.CloseIdleConnections()
	p.cancel()
	<-p.done
	return p.err
}

// kill ends a process without a chance to tidy up.
func (p *program) kill() {
	p.client.CloseIdleConnections()
	_ = p.process.Kill()
	<-p.done
}

// serveArgs are the arguments of serve; of two that say the same, the later wins.
func serveArgs(dir string, args ...string) []string {
	all := slices.Concat([]string{"serve", "--data-dir", dir}, cheap)
	for i := 0; i < len(args); i += 2 {
		if at := slices.Index(all, args[i]); at >= 0 {
			all[at+1] = args[i+1]
		} else {
			all = append(all, args[i], args[i+1])
		}
	}
	return all
}

// addresses reads where the program listens from its log.
func addresses(log string) map[string]string {
	urls := make(map[string]string)
	_, list, _ := strings.Cut(log, `listening="`)
	list, _, _ = strings.Cut(list, `"`)
	for url := range strings.SplitSeq(list, ", ") {
		if scheme, addr, ok := strings.Cut(url, "://"); ok {
			urls[scheme] = addr
		}
	}
	return urls
}

// attempt runs the program to its end, which it must find by itself.
func attempt(tb testing.TB, environ []string, stdin string, args ...string) (out, log string, err error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	o, l := new(logtest.Buffer), new(logtest.Buffer)
	err = run(ctx, args, environ, strings.NewReader(stdin), o, l)
	if ctx.Err() != nil {
		tb.Fatalf("%q went on running:\n%s", args, l)
	}
	return o.String(), l.String(), err
}

// usedDir returns a data directory that has had its first start.
func usedDir(tb testing.TB) string {
	tb.Helper()
	from, err := firstStart()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir+"/master.key", 0o600); err != nil { // CopyFS widens modes
		tb.Fatal(err)
	}
	return dir
}

// firstStart makes a data directory once: migrations and an RSA key would take
// most of the time of most tests.
var firstStart = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "used")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	log := new(logtest.Buffer)
	go func() {
		if log.Await("msg=running", ctx.Done(), 2*patience) {
			cancel()
		}
	}()
	err := run(ctx, serveArgs(dir, "--admin-password", adminPassword), nil, strings.NewReader(""), new(logtest.Buffer), log)
	if !errors.Is(ctx.Err(), context.Canceled) {
		err = fmt.Errorf("first start: %w\n%s", err, log)
	}
	return dir, err
})
