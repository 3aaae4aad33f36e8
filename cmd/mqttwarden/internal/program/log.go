package program

import (
	"bytes"
	"io"
	"log/slog"
)

// logTo is where the program logs.
type logTo struct {
	*slog.Logger
	writer *logWriter
}

// newLog returns the program's log. What must never be in it (passwords,
// tokens, keys) has types that mask themselves.
func newLog(w io.Writer, c *logConfig) logTo {
	tell := func(dropped uint64) []byte {
		var line bytes.Buffer
		handler(&line, c).Warn("lines of the log were dropped: it was not read fast enough", "dropped", dropped)
		return line.Bytes()
	}
	writer := newLogWriter(w, c.logBuffer, tell)
	return logTo{handler(writer, c), writer}
}

// handler returns a log that is written at once.
func handler(w io.Writer, c *logConfig) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// logPart are the metrics of the log.
func logPart(dropped func() uint64) part[uint64] {
	return part[uint64]{dropped, []series[uint64]{
		counter("mqttwarden_log_lines_dropped_total", "Lines of the log that were dropped because it was not read fast enough.", func(n uint64) float64 { return float64(n) }),
	}}
}
