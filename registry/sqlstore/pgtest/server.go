// Package pgtest starts a real PostgreSQL for the tests of a program.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// Server is a postgres process with a data directory of its own. What it commits is on
// the disk, as it is in production.
type Server struct {
	Addr string // host:port

	dir     string
	sslmode string
	as      *syscall.Credential // nil: as we are
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
}

// patience is how long a server may take to start or to stop.
const patience = 60 * time.Second

// superuser is the user whom initdb makes.
const superuser = "postgres"

// bin returns the path of a program of PostgreSQL. Debian has them in a directory for
// each version, outside of PATH.
func bin(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("pgtest: no %s: install it (Debian: apt-get install postgresql)", name)
	}
	return found[len(found)-1], nil
}

// newServer makes a server in an empty directory that it may use, and starts it.
func newServer(dir string) (*Server, error) {
	s := &Server{dir: dir, sslmode: "disable"}
	if err := s.own(); err != nil {
		return nil, err
	}
	if err := s.run("initdb", "--pgdata", s.data(), "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"); err != nil {
		return nil, err
	}
	var err error
	for range 5 { // somebody else may take the port between our asking and using it
		if s.Addr, err = freeAddr(); err != nil {
			return nil, err
		}
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// own has the server run as another user if we are root, which it refuses to be.
func (s *Server) own() error {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return errors.Join(err1, err2, os.Chown(s.dir, int(uid), int(gid)))
	}
	return errors.New("pgtest: postgres does not run as root, and there is neither a user postgres nor nobody")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// Log returns what the server has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// command returns a program of PostgreSQL, run as the server is.
func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := bin(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path, args...) // #nosec G204 -- a test says what to run
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd, nil
}

func (s *Server) run(name string, args ...string) error {
	cmd, err := s.command(name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: %s: %w\n%s", name, err, out)
	}
	return nil
}

// Start starts the server, anew after a Stop, with further settings as in port=1. It
// returns when the server answers.
func (s *Server) Start(settings ...string) error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	args := []string{"-D", s.data(), "-h", host, "-p", port, "-k", ""}
	for _, setting := range append([]string{"max_connections=400", "shared_buffers=32MB", "log_lock_waits=on"}, settings...) {
		args = append(args, "-c", setting)
	}
	cmd, err := s.command("postgres", args...)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT // it ends with us, however we end
	if s.done, err = startTied(cmd); err != nil {
		return err
	}
	s.cmd = cmd
	return s.await()
}

// startTied starts a command from a thread that lasts as long as the command: the
// signal that Pdeathsig names is sent when the thread ends.
func startTied(cmd *exec.Cmd) (done chan struct{}, err error) {
	done = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(done)
	}()
	return done, <-started
}

// await waits until the server is ours and answers.
func (s *Server) await() error {
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		var dir string
		if err := db.QueryRowContext(context.Background(), "SHOW data_directory").Scan(&dir); err == nil && dir == s.data() {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("pgtest: postgres does not start:\n%s", s.Log())
		case <-late:
			s.Stop()
			return fmt.Errorf("pgtest: postgres does not answer:\n%s", s.Log())
		}
	}
}

// URL returns how a database of the server is reached.
func (s *Server) URL(database string) string {
	return "postgres://" + superuser + "@" + s.Addr + "/" + database + "?sslmode=" + s.sslmode
}

// Stop ends the server at once, as a crash of the machine does, but for what the disk
// has. It may be frozen.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	s.Thaw()
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.cmd = nil
}

// Freeze makes the server and its sessions hang: connections are accepted, nothing is
// answered.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// signal sends a signal to the server and to each of its sessions.
func (s *Server) signal(sig syscall.Signal) {
	pid := s.cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	_ = syscall.Kill(pid, sig)
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, sig)
		}
	}
}

func freeAddr() (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String(), nil
}
