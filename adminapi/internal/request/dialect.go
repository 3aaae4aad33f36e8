package request

import (
	"context"
	"errors"
	"net/http"

	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// Dialect is how one of the APIs names itself and shows failures.
type Dialect interface {
	// Door returns its name in the audit log and in the access log.
	Door() string
	// Failure returns the answer to r, which failed with err: an error of package
	// registry or a *wire.ClientError. Any other is a fault of ours, whose text
	// must not be shown.
	Failure(r *http.Request, err error) wire.Answer
}

// Fail answers r, which failed with err, in the dialect of the API that r is for.
func Fail(w http.ResponseWriter, r *http.Request, err error) { Failure(r, err).Send(w) }

// Failure returns what Fail answers. An error that is a fault of ours is kept for
// the log, whatever the dialect shows of it.
func Failure(r *http.Request, err error) wire.Answer {
	info := From(r.Context())
	shown := timely(err)
	if ours(shown) {
		info.Cause = err
	}
	return info.dialect().Failure(r, shown)
}

// statusGone is the status of a request whose client hung up. It is for the log.
const statusGone = 499

// timely returns err. If err only says that the context of the request has ended, it
// returns an error that the client may be told.
func timely(err error) error {
	if _, refused := errors.AsType[*wire.ClientError](err); refused {
		return err
	}
	code, _, _ := registry.Public(err)
	switch {
	case code != registry.Internal:
		return err
	case errors.Is(err, context.Canceled):
		return wire.NewClientError(statusGone, "the request was given up")
	case errors.Is(err, context.DeadlineExceeded):
		return &registry.Error{Code: registry.Unavailable, Detail: "this took too long: try again", Err: err}
	default:
		return err
	}
}

// ours reports whether err is a fault of the server, not of the client.
func ours(err error) bool {
	if _, refused := errors.AsType[*wire.ClientError](err); refused {
		return false
	}
	code, _, _ := registry.Public(err)
	return code == registry.Internal || code == registry.Busy || code == registry.Unavailable
}

// noDialect is the dialect of paths that belong to no API.
type noDialect struct{}

// Door implements Dialect.
func (noDialect) Door() string { return "" }

// Failure implements Dialect: a status without a body.
func (noDialect) Failure(_ *http.Request, err error) wire.Answer {
	if e, ok := errors.AsType[*wire.ClientError](err); ok {
		return wire.Answer{Status: e.Status}
	}
	return wire.Answer{Status: http.StatusInternalServerError}
}
