package broker

import (
	"context"
	"log/slog"
	"strings"
	"unicode"
)

// discreet is a slog handler for mochi: errors only, and without the packets
// that v2.7.9 puts in its lines. A CONNECT holds a password, a PUBLISH a payload.
type discreet struct{ next slog.Handler }

func newDiscreet(next slog.Handler) slog.Handler { return discreet{next} }

// Enabled implements slog.Handler.
func (d discreet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && d.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (d discreet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(loggable([]slog.Attr{a})...)
		return true
	})
	return d.next.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (d discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return discreet{d.next.WithAttrs(loggable(attrs))}
}

// WithGroup implements slog.Handler.
func (d discreet) WithGroup(name string) slog.Handler {
	return discreet{d.next.WithGroup(name)}
}

// loggable returns the attributes that may be logged: plain values and errors. The
// packets are structs.
func loggable(attrs []slog.Attr) []slog.Attr {
	var kept []slog.Attr
	for _, a := range attrs {
		if _, isError := a.Value.Any().(error); isError || a.Value.Kind() != slog.KindAny {
			kept = append(kept, a)
		}
	}
	return kept
}

// printable returns what a client sent in a form that is fit for a log: at most
// 128 bytes of it, and only characters that show.
func printable(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
