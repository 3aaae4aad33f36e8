package request

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/loglimit"
	"mqttwarden/registry/peer"
	"mqttwarden/registry/secret"
)

// Log is the outermost handler. It makes the Info of each request, writes one line
// when the request is finished, and turns a panic into an answer.
type Log struct {
	Log     *slog.Logger
	Now     func() time.Time
	Trusted peer.Proxies // whose X-Forwarded-For is believed
	Quiet   []string     // routes whose successes are told at debug level: probes
	// Dialect returns the dialect of the API that a path, as it was sent, belongs to.
	Dialect func(path string) Dialect

	refused *loglimit.Log // of requests that are refused
}

// Handler returns next within the log.
func (l Log) Handler(next http.Handler) http.Handler {
	l.refused = loglimit.New(l.Log, l.Now, firstRefusals)
	quiet := make(map[string]bool, len(l.Quiet))
	for _, route := range l.Quiet {
		quiet[route] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := l.Now()
		info := &Info{ID: rand.Text(), Remote: remote(r, l.Trusted), Dialect: l.Dialect(r.URL.Path)}
		asker := secret.Asker{Kind: secret.Request, Network: peer.Network(info.Remote)}
		r = r.WithContext(secret.For(With(r.Context(), info), asker))
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Request-Id", info.ID)
		defer func() {
			p := recover()
			if p != nil {
				panicked(rec, r, info, p)
			}
			l.line(r, info, rec.status, l.Now().Sub(start), quiet[info.Route])
			if p != nil && !rec.rescued {
				panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// panicked answers for a handler that panicked, if that is still possible.
func panicked(rec *recorder, r *http.Request, info *Info, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		info.Cause = err
		return
	}
	info.Cause = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	if rec.status == 0 {
		Fail(rec, r, info.Cause)
		rec.rescued = true
	}
}

func (l Log) line(r *http.Request, info *Info, status int, took time.Duration, quiet bool) {
	if status == 0 {
		status = http.StatusOK // as net/http does when a handler writes nothing
	}
	route := info.Route
	if route == "" {
		route = "unknown"
	}
	attrs := []slog.Attr{
		slog.String("method", method(r.Method)),
		slog.String("door", info.Door()),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.String("request", info.ID),
	}
	if crowded := errors.Is(info.Cause, registry.Busy); crowded || info.Cause == nil && refused(status, quiet) {
		if crowded {
			attrs = append(attrs, slog.Any("err", info.Cause))
		}
		l.refuse(info, fmt.Sprintf("%d %s %s %s", status, method(r.Method), info.Door(), route), attrs)
		return
	}
	attrs = append(attrs, slog.String("user", info.User), slog.String("remote", info.Remote.String()))
	level := slog.LevelInfo
	switch {
	case info.Cause != nil:
		level = slog.LevelError
		attrs = append(attrs, slog.Any("err", info.Cause))
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case quiet:
		level = slog.LevelDebug
	}
	l.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// refused reports whether a request without a fault of ours was refused: 503 says that
// others have taken what all share, unless a probe asked.
func refused(status int, probe bool) bool {
	return status >= http.StatusBadRequest && status < http.StatusInternalServerError ||
		status == http.StatusServiceUnavailable && !probe
}

// firstRefusals are how many refusals of a kind have a line of their own in a minute.
const firstRefusals = 10

// refuse writes the line of a request that was refused. Anybody can bring that about
// as often as they like; what comes again from the same address is collapsed.
func (l Log) refuse(info *Info, cause string, attrs []slog.Attr) {
	l.refused.Flush()
	if info.User == "" {
		attrs = append(attrs, slog.String("user", ""))
	}
	l.refused.Report(loglimit.Event{
		Level: slog.LevelInfo, Message: "request", Cause: cause,
		User: info.User, Remote: info.Remote, Network: peer.Network(info.Remote), Attrs: attrs,
	})
}

// method cuts the method to the longest that a client may put into the log.
func method(m string) string {
	const longest = 16
	return m[:min(len(m), longest)]
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status  int
	rescued bool // a panic has got an answer of its own
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // 1xx are not the answer yet
		r.status = status
	}
	if status == http.StatusNoContent {
		r.Header().Del("Content-Type") // without content there is no type of it (RFC 9110 section 8.3)
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
