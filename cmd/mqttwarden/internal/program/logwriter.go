package program

import (
	"io"
	"sync"
	"time"
)

// logPatience is how long a line waits to be written while the reader of the log
// keeps up. With that, a line is there when what it tells of is done.
const logPatience = 10 * time.Millisecond

// logWriter keeps the program from waiting for who reads its log. What is written is
// handed to a goroutine; when that does not get rid of it, such as into a pipe that
// nobody reads, lines are kept up to a bound and dropped beyond, and counted. It is
// safe for concurrent use.
type logWriter struct {
	to      io.Writer
	most    int                         // bytes that are kept
	tell    func(dropped uint64) []byte // the line that tells of those that were dropped
	wake    chan struct{}
	end     chan struct{} // closed by close
	stopped chan struct{} // closed when all is written

	mu      sync.Mutex
	pending []byte
	written chan struct{} // closed when what is pending is written
	stalled bool
	closed  bool
	dropped uint64
	told    uint64 // of them
}

func newLogWriter(to io.Writer, most int, tell func(uint64) []byte) *logWriter {
	w := &logWriter{
		to: to, most: most, tell: tell, wake: make(chan struct{}, 1),
		end: make(chan struct{}), stopped: make(chan struct{}), written: make(chan struct{}),
	}
	go w.run()
	return w
}

// Write implements io.Writer. It never fails, and hardly waits.
func (w *logWriter) Write(p []byte) (int, error) {
	written, wait := w.add(p)
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
	if !wait {
		return len(p), nil
	}
	timer := time.NewTimer(logPatience)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
		w.mu.Lock()
		w.stalled = true
		w.mu.Unlock()
	}
	return len(p), nil
}

// add keeps a line, if there is room, and reports whether to wait for it to be
// written.
func (w *logWriter) add(p []byte) (written <-chan struct{}, wait bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.pending)+len(p) > w.most {
		w.dropped++
		return nil, false
	}
	w.pending = append(w.pending, p...)
	return w.written, !w.stalled
}

// run writes until the writer is closed.
func (w *logWriter) run() {
	defer close(w.stopped)
	for ended := false; !ended; {
		select {
		case <-w.wake:
		case <-w.end:
			ended = true
		}
		for w.writePending() {
		}
	}
}

// writePending writes what is kept, and reports whether there was anything.
func (w *logWriter) writePending() bool {
	w.mu.Lock()
	lines, written, dropped := w.pending, w.written, w.dropped
	if len(lines) == 0 && dropped == w.told {
		w.mu.Unlock()
		return false
	}
	w.pending, w.written = nil, make(chan struct{})
	news := dropped - w.told
	w.mu.Unlock()
	if news > 0 {
		lines = append(lines, w.tell(news)...)
	}
	_, _ = w.to.Write(lines) // who would be told?
	close(written)
	w.mu.Lock()
	w.told, w.stalled = dropped, false
	w.mu.Unlock()
	return true
}

// close writes what is kept, if that takes no longer than limit. Nothing is written
// after that.
func (w *logWriter) close(limit time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.end)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.stopped:
	case <-timer.C:
	}
}

// droppedLines returns how many lines were dropped.
func (w *logWriter) droppedLines() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
