package rig

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

	"mqttwarden/cmd/mqttwarden/internal/program"
	"mqttwarden/registry/logtest"
)

const (
	// AdminPassword is that of the user admin in every store that Launch starts on.
	AdminPassword = "the-admin's-password"
	// Patience is how long something may take that must happen. Much of it is
	// for machines that do other things besides.
	Patience = 30 * time.Second
)

// cheap are settings that make a hash cost nothing to speak of, and let the
// system choose ports.
var cheap = []string{
	"--hash-memory", "64", "--hash-time", "1", "--hash-threads", "1",
	"--mqtt-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
}

// Program is the whole program that serves: within the test, run as main would, or
// a process of its own.
type Program struct {
	TB       testing.TB
	Dir      string
	Out, Log *logtest.Buffer
	URLs     map[string]string // host:port by scheme
	Client   *http.Client
	Token    string // of admin; see AsAdmin

	Process *os.Process   // nil within the test
	cancel  func()        // asks it to end
	Done    chan struct{} // closed when it has ended
	err     error         // how it ended, once Done is closed
}

// Launch starts the program on a store that has had its first start, with
// further settings if there are any. It ends with the test.
func Launch(tb testing.TB, args ...string) *Program {
	tb.Helper()
	return LaunchIn(tb, UsedDir(tb), args...)
}

// LaunchQuick is Launch, and the program looks every few milliseconds for what
// others do to its store and its files, where it would take seconds.
func LaunchQuick(tb testing.TB, args ...string) *Program {
	tb.Helper()
	return launch(tb, program.Pace{Changes: 10 * time.Millisecond, Files: 10 * time.Millisecond, Settle: 50 * time.Millisecond, Store: 10 * time.Millisecond}, UsedDir(tb), args...)
}

// LaunchIn starts the program on a data directory.
func LaunchIn(tb testing.TB, dir string, args ...string) *Program {
	tb.Helper()
	return launch(tb, program.UsualPace(), dir, args...)
}

func launch(tb testing.TB, pace program.Pace, dir string, args ...string) *Program {
	tb.Helper()
	p := newProgram(tb, dir)
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		defer close(p.Done)
		p.err = pace.Run(ctx, ServeArgs(dir, args...), nil, strings.NewReader(""), p.Out, p.Log)
	}()
	p.started()
	return p
}

// Spawn starts the program as a process, for what only a process can: be killed,
// and exit with a code.
func Spawn(tb testing.TB, dir string, args ...string) *Program {
	tb.Helper()
	return spawn(tb, dir, Self(tb, ServeArgs(dir, args...)...))
}

// SpawnWith is Spawn by a shell, which runs a command before that, such as ulimit.
func SpawnWith(tb testing.TB, command, dir string, args ...string) *Program {
	tb.Helper()
	self := Self(tb, ServeArgs(dir, args...)...)
	shell := exec.CommandContext(context.Background(), "sh", append([]string{"-c", command + ` && exec "$0" "$@"`}, self.Args...)...) // #nosec G204 -- a test's own
	shell.Env = self.Env
	return spawn(tb, dir, shell)
}

func spawn(tb testing.TB, dir string, cmd *exec.Cmd) *Program {
	tb.Helper()
	p := newProgram(tb, dir)
	cmd.Stdout, cmd.Stderr = p.Out, p.Log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p.Process = cmd.Process
	p.cancel = func() { _ = cmd.Process.Signal(syscall.SIGTERM) }
	go func() {
		defer close(p.Done)
		p.err = cmd.Wait()
	}()
	p.started()
	return p
}

// Self returns the command that runs the program with such arguments.
func Self(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), path, args...) // #nosec G204 -- ourselves
	cmd.Env = []string{ActAsProgram + "=1"}
	return cmd
}

// At returns a copy for a test within a test, which ends what it starts.
func (p *Program) At(tb testing.TB) *Program {
	other := *p
	other.TB = tb
	return &other
}

func newProgram(tb testing.TB, dir string) *Program {
	return &Program{
		TB: tb, Dir: dir, Out: new(logtest.Buffer), Log: new(logtest.Buffer), Done: make(chan struct{}),
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: Patience},
	}
}

// started waits for the program to say where it listens.
func (p *Program) started() {
	p.TB.Helper()
	if !p.Log.Await("msg=running", p.Done, Patience) {
		_ = p.Stop()
		p.TB.Fatalf("the program does not start: %v\n%s", p.err, p.Log)
	}
	p.URLs = addresses(p.Log.String())
	p.TB.Cleanup(func() {
		if err := p.Stop(); err != nil && p.Process == nil {
			p.TB.Errorf("the program: %v", err)
		}
	})
}

// Stop ends the program as SIGTERM does, and returns how it ended.
func (p *Program) Stop() error {
	p.Client.CloseIdleConnections()
	p.cancel()
	<-p.Done
	return p.err
}

// Kill ends a process without a chance to tidy up.
func (p *Program) Kill() {
	p.Client.CloseIdleConnections()
	_ = p.Process.Kill()
	<-p.Done
}

// ServeArgs are the arguments of serve; of two that say the same, the later wins.
func ServeArgs(dir string, args ...string) []string {
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

// Attempt runs the program to its end, which it must find by itself.
func Attempt(tb testing.TB, environ []string, stdin string, args ...string) (out, log string, err error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	defer cancel()
	o, l := new(logtest.Buffer), new(logtest.Buffer)
	err = program.Run(ctx, args, environ, strings.NewReader(stdin), o, l)
	if ctx.Err() != nil {
		tb.Fatalf("%q went on running:\n%s", args, l)
	}
	return o.String(), l.String(), err
}

// UsedDir returns a data directory that has had its first start.
func UsedDir(tb testing.TB) string {
	tb.Helper()
	from, err := firstStart()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	CopyData(tb, dir, from)
	return dir
}

// CopyData copies a data directory, whose program does not run, into an empty one.
func CopyData(tb testing.TB, to, from string) {
	tb.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
	files, err := os.ReadDir(to)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files { // CopyFS widens modes
		if err := os.Chmod(filepath.Join(to, f.Name()), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// firstStart makes a data directory once: migrations and RSA keys would take
// most of the time of most tests.
var firstStart = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "used")
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	defer cancel()
	log := new(logtest.Buffer)
	go func() {
		if log.Await("msg=running", ctx.Done(), 2*Patience) && log.Await("RSA alone have a certificate now", ctx.Done(), 2*Patience) {
			cancel()
		}
	}()
	err := program.Run(ctx, ServeArgs(dir, slices.Concat(Secure, []string{"--admin-password", AdminPassword})...), nil, strings.NewReader(""), new(logtest.Buffer), log)
	if !errors.Is(ctx.Err(), context.Canceled) {
		err = fmt.Errorf("first start: %w\n%s", err, log)
	}
	return dir, err
})
