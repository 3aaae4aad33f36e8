// Package logtest is a log for tests to read. It imports nothing of ours.
package logtest

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Buffer holds what was logged. Its methods may be called by anybody at any time.
// The zero value is empty and ready to use.
type Buffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	grown chan struct{} // closed by the next Write; nil while nobody waits for that
}

// New returns a logger that writes lines of text, of all levels, and the buffer
// that it writes to.
func New() (*slog.Logger, *Buffer) {
	b := new(Buffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.grown != nil {
		close(b.grown)
		b.grown = nil
	}
	return b.buf.Write(p)
}

// String returns all that was logged so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Count returns how often text was written.
func (b *Buffer) Count(text string) int { return strings.Count(b.String(), text) }

// Await waits for text to be written, and reports whether that was before done
// was closed and the time was up.
func (b *Buffer) Await(text string, done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		found, grown := b.look(text)
		if found {
			return true
		}
		select {
		case <-grown:
		case <-done:
			found, _ = b.look(text)
			return found
		case <-timer.C:
			return false
		}
	}
}

// look reports whether text was written, and returns what the next Write closes.
func (b *Buffer) look(text string) (found bool, grown <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.grown == nil {
		b.grown = make(chan struct{})
	}
	return bytes.Contains(b.buf.Bytes(), []byte(text)), b.grown
}
