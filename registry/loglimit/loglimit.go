// Package loglimit is a log for what those outside can bring about: a sign-in that
// is refused, a packet that is malformed, a handshake that fails. However often that
// happens, and however many take part, it writes few lines, and says in them how
// many there were. It imports nothing of ours.
package loglimit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

const (
	// every is for how long events of one kind are collapsed into one line.
	every = time.Minute
	// most is how many kinds are kept apart; what is beyond is collapsed by cause.
	most = 256
)

// Event is something that somebody outside has brought about.
type Event struct {
	Level   slog.Level
	Message string
	Cause   string       // of few; a label of a metric
	User    string       // as it was given, or empty
	Remote  netip.Addr   // may be invalid
	Network netip.Prefix // that the address counts as; may be invalid
	Attrs   []slog.Attr
}

// kind is what events have in common that are collapsed.
type kind struct {
	message, cause, user string
	network              netip.Prefix
	others               bool // beyond most: whoever brought it about
}

// run is what is known of a kind.
type run struct {
	since time.Time // when a line of it was written first, or with a count
	lines int       // written since then
	more  int       // events since then
	last  Event     // the latest of them
}

// Log collapses events: the first of a kind (message, cause, user and address) are
// written at once, those that follow within a minute in one line at its end. It is
// safe for concurrent use.
type Log struct {
	log   *slog.Logger
	now   func() time.Time
	first int

	mu      sync.Mutex
	flushed time.Time
	runs    map[kind]*run
	counts  map[string]uint64
}

// New returns a log that writes to log by the clock now, and of each kind so many
// at once.
func New(log *slog.Logger, now func() time.Time, first int) *Log {
	return &Log{log: log, now: now, first: first, runs: make(map[kind]*run), counts: make(map[string]uint64)}
}

// Report takes note of an event.
func (l *Log) Report(e Event) {
	if l.note(e) {
		l.write(e, nil)
	}
}

// note counts an event and reports whether it is to be written now.
func (l *Log) note(e Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[e.Cause]++
	k := kind{message: e.Message, cause: e.Cause, user: e.User, network: e.Network}
	r := l.runs[k]
	if r == nil && len(l.runs) >= most {
		k = kind{message: e.Message, cause: e.Cause, others: true}
		r = l.runs[k]
	}
	if r == nil {
		r = &run{since: l.now()}
		l.runs[k] = r
	}
	if r.lines < l.first {
		r.lines++
		return true
	}
	r.more++
	r.last = e
	return false
}

// Flush writes the lines that are due. It is to be called now and then, and does
// nothing when it was called within the last second.
func (l *Log) Flush() {
	for _, d := range l.due() {
		l.write(d.event, d.attrs)
	}
}

type dueLine struct {
	event Event
	attrs []slog.Attr
}

// due takes out what is to be written now. What has not come again is forgotten.
func (l *Log) due() []dueLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if since := now.Sub(l.flushed); since >= 0 && since < time.Second {
		return nil
	}
	l.flushed = now
	var lines []dueLine
	for k, r := range l.runs {
		took := now.Sub(r.since)
		switch {
		case took < every:
		case r.more == 0:
			delete(l.runs, k)
		default:
			attrs := []slog.Attr{slog.Int("repeated", r.more), slog.Duration("within", took.Round(time.Second))}
			if k.others {
				attrs = append(attrs, slog.Bool("also_by_others", true))
			}
			lines = append(lines, dueLine{r.last, attrs})
			r.since, r.more, r.last = now, 0, Event{}
		}
	}
	return lines
}

func (l *Log) write(e Event, more []slog.Attr) {
	h := l.log.Handler()
	if !h.Enabled(context.Background(), e.Level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(e.Attrs)+len(more)+3)
	if e.User != "" {
		attrs = append(attrs, slog.String("user", e.User))
	}
	if e.Remote.IsValid() {
		attrs = append(attrs, slog.String("remote", e.Remote.String()))
	}
	attrs = append(attrs, slog.String("cause", e.Cause))
	line := slog.NewRecord(time.Now(), e.Level, e.Message, 0)
	line.AddAttrs(append(append(attrs, e.Attrs...), more...)...)
	_ = h.Handle(context.Background(), line) // who would be told?
}

// Counts returns how many events there were, by cause.
func (l *Log) Counts() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[string]uint64, len(l.counts))
	for cause, n := range l.counts {
		counts[cause] = n
	}
	return counts
}
