// Package redistest starts real Redis servers for tests.
package redistest

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server process on a port of 127.0.0.1, which keeps nothing
// on disk. Its methods fail the test they were started for.
type Server struct {
	Addr string // host:port
	URL  string // of database 0, without credentials

	tb   testing.TB
	dir  string
	file string // of settings; "" for none

	busPort string // where other servers of a cluster find it; "" without one
	args    []string
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
}

// patience is how long a server may take to start or to stop.
const patience = 10 * time.Second

// Start starts a server, with further arguments of redis-server if there are
// any, and stops it when the test ends. Without redis-server the test fails.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return startWith(tb, &Server{tb: tb, args: args})
}

// startWith starts s at a free address.
func startWith(tb testing.TB, s *Server) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatal("redistest: no redis-server in PATH: install it (Debian: apt-get install redis-server)")
	}
	s.dir = tb.TempDir()
	tb.Cleanup(s.Stop)
	for range 5 { // somebody else may take the port between our asking and using it
		s.Addr = freeAddr(tb)
		s.URL = "redis://" + s.Addr + "/0"
		if s.start() {
			return s
		}
	}
	tb.Fatalf("redistest: redis-server does not start:\n%s", s.log())
	return nil
}

// Stop kills the server, if it runs, and with it all that it holds.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // works on a frozen one, too
	<-s.done
	s.cmd = nil
}

// Restart starts the server anew, empty, at the same address.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if !s.start() {
		s.tb.Fatalf("redistest: redis-server does not start again:\n%s", s.log())
	}
}

// Freeze makes the server hang: connections are accepted, nothing is answered.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.cmd == nil {
		s.tb.Fatal("redistest: the server does not run")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("redistest: %v: %v", sig, err)
	}
}

// start starts the process and reports whether it answers.
func (s *Server) start() bool {
	s.tb.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	args := []string{"--bind", host, "--port", port, "--dir", s.dir, "--logfile", s.logFile(), "--daemonize", "no"}
	if s.file != "" {
		args = slices.Concat([]string{s.file}, args)
	} else {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	args = append(args, s.args...)
	cmd := exec.CommandContext(context.Background(), "redis-server", args...) // #nosec G204 -- a test says what to run
	if err := cmd.Start(); err != nil {
		s.tb.Fatalf("redistest: %v", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-done:
			s.cmd = nil
			return false
		case <-time.After(2 * time.Millisecond):
		}
		if pid := s.serverPID(); pid == strconv.Itoa(cmd.Process.Pid) {
			return true
		}
	}
	s.Stop()
	return false
}

// serverPID returns the process id that whoever listens at our address gives for
// its own, or "" if nobody does. A server that wants a password is ours if it says so.
func (s *Server) serverPID() string {
	answer := s.ask("INFO server")
	if strings.HasPrefix(answer, "-NOAUTH") {
		return strconv.Itoa(s.cmd.Process.Pid)
	}
	for line := range strings.Lines(answer) { // none, while it is still loading
		if pid, ok := strings.CutPrefix(line, "process_id:"); ok {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

// ask sends a command on a connection of its own and returns the answer: a text, an
// error with its minus, or the texts of a list, one a line. It is "" if none comes.
func (s *Server) ask(command string) string {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return ""
	}
	answer, err := reply(bufio.NewReader(conn))
	if err != nil {
		return ""
	}
	return answer
}

// reply reads one answer.
func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return "", io.ErrUnexpectedEOF
	}
	line = strings.TrimSpace(line)
	switch line[0] {
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return string(text[:n]), err
	case '*':
		n, err := strconv.Atoi(line[1:])
		texts := make([]string, 0, max(n, 0))
		for i := 0; i < n && err == nil; i++ {
			var text string
			text, err = reply(r)
			texts = append(texts, text)
		}
		return strings.Join(texts, "\n"), err
	case '-':
		return line, nil
	default:
		return line[1:], nil
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

func (s *Server) log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}
