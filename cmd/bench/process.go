package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a broker that runs as a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	where map[string]string // the address of each scheme that it listens on

	mu    sync.Mutex
	lines int      // on its standard error
	last  []string // of them
	heaps []int    // live bytes after each garbage collection, if it traces them
}

// launch starts a program and waits until it has said on its standard output, as
// scheme://host:port, where it listens for each of the schemes.
func launch(ctx context.Context, schemes []string, env []string, name string, args ...string) (*process, error) {
	p := &process{where: make(map[string]string)}
	p.cmd = exec.CommandContext(ctx, name, args...) // #nosec G204 -- ourselves, or what the operator named
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = lineWriter(p.note)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewScanner(stdout)
	for len(p.where) < len(schemes) && said.Scan() {
		scheme, address, ok := strings.Cut(strings.TrimSpace(said.Text()), "://")
		for _, s := range schemes {
			if ok && s == scheme {
				p.where[scheme] = address
			}
		}
	}
	if len(p.where) < len(schemes) {
		err := p.stop()
		return nil, fmt.Errorf("%s did not start: %w", filepath.Base(name), errors.Join(err, errors.New(p.said())))
	}
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() < 0 {
		return nil // by the signal
	}
	return err
}

// cpu returns the CPU time that the process has used.
func (p *process) cpu() (time.Duration, error) { return cpuOf(strconv.Itoa(p.cmd.Process.Pid)) }

// cpuOf returns the CPU time that the threads of a process have used, to the
// nanosecond, where /proc/PID/stat counts hundredths of a second. Threads that
// have ended are missing; Go keeps its own.
func cpuOf(pid string) (time.Duration, error) {
	files, err := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		run, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(ns)
	}
	if sum == 0 {
		return 0, fmt.Errorf("/proc/%s/task/*/schedstat tells no CPU time: is this Linux?", pid)
	}
	return sum, nil
}

// resident returns the resident memory of the process in bytes.
func (p *process) resident() (int, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("/proc/PID/statm can't be read")
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}

// logged returns how many lines the process has written to its standard error.
func (p *process) logged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines
}

// said returns the last lines of its standard error.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.last, "\n")
}

// collections returns the live heap after each garbage collection until now, in
// bytes. The process must run with tracing.
func (p *process) collections() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heaps[:len(p.heaps):len(p.heaps)]
}

// note takes a line of the standard error.
func (p *process) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if live, ok := liveHeap(line); ok {
		p.heaps = append(p.heaps, live)
		return
	}
	const kept = 20
	p.lines++
	p.last = append(p.last, line)
	p.last = p.last[max(0, len(p.last)-kept):]
}

// tracing has the runtime of a Go program tell of its garbage collections.
const tracing = "GODEBUG=gctrace=1"

// liveHeap returns the live heap that a line of such a trace tells, in bytes:
// the third of "4->5->2 MB" (package runtime, GODEBUG).
func liveHeap(line string) (int, bool) {
	if !strings.HasPrefix(line, "gc ") {
		return 0, false
	}
	sizes, _, ok := strings.Cut(line, " MB, ")
	if !ok {
		return 0, false
	}
	_, live, ok := strings.Cut(sizes[strings.LastIndexByte(sizes, ' ')+1:], "->")
	if !ok {
		return 0, false
	}
	_, live, ok = strings.Cut(live, "->")
	n, err := strconv.Atoi(live)
	return n << 20, ok && err == nil
}

// lineWriter returns a writer that hands over what is written line by line.
func lineWriter(take func(line string)) io.Writer { return &lines{take: take} }

type lines struct {
	take func(string)
	rest []byte
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := strings.Cut(string(l.rest), "\n")
		if !ok {
			return len(b), nil
		}
		l.take(line)
		l.rest = []byte(rest)
	}
}
