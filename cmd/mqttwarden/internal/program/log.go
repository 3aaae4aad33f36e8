package program

import (
	"io"
	"log/slog"
)

// newLog returns the program's log. What must never be in it (passwords,
// tokens, keys) has types that mask themselves.
func newLog(w io.Writer, level slog.Level, json bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
