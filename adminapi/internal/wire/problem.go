// Package wire is how the Auth API looks on the wire, whatever the route: its
// errors, its JSON, its times.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/registry"
)

// Problem is an error as clients see it.
type Problem struct {
	StatusCode int    `json:"statusCode" doc:"The HTTP status again." example:"409"`
	Name       string `json:"error" doc:"The name of the status." example:"Conflict"`
	Message    string `json:"message" doc:"What is wrong, for people. It names the field at fault." example:"username: alice is taken"`
}

// NewProblem returns the problem with a status, its name and a message.
func NewProblem(status int, message string) *Problem {
	return &Problem{StatusCode: status, Name: name(status), Message: message}
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.StatusCode }

// statusGone answers a client that hung up; only the log will see it.
const statusGone = 499

func name(status int) string {
	if status == statusGone {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// ProblemOf translates an error: the registry's by its code, a Problem as it is,
// and everything else to a 500 that tells nothing.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	code, field, detail := registry.Public(err)
	switch {
	case code != registry.Internal:
	case errors.Is(err, context.Canceled):
		return NewProblem(statusGone, "the request was given up")
	case errors.Is(err, context.DeadlineExceeded):
		return NewProblem(http.StatusServiceUnavailable, "this took too long: try again")
	}
	if field != "" {
		detail = field + ": " + detail
	}
	return NewProblem(Status(code), detail)
}

// Status returns the HTTP status that stands for a code.
func Status(code registry.Code) int {
	switch code {
	case registry.Invalid, registry.WeakPassword:
		return http.StatusBadRequest
	case registry.Unauthenticated:
		return http.StatusUnauthorized
	case registry.Forbidden:
		return http.StatusForbidden
	case registry.NotFound:
		return http.StatusNotFound
	case registry.Conflict, registry.LastAdmin:
		return http.StatusConflict
	case registry.Locked:
		return http.StatusTooManyRequests
	case registry.Busy, registry.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// How long clients are asked to wait before they try again, in seconds.
const (
	retryBusy        = 1
	retryUnavailable = 5
	retryLocked      = 60
)

// Header tells set, for an answer with p, which headers belong to it beside the
// content type. err is what p was made of.
func (p *Problem) Header(err error, set func(key, value string)) {
	switch {
	case p.StatusCode == http.StatusUnauthorized:
		set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2
	case p.StatusCode == http.StatusTooManyRequests:
		set("Retry-After", strconv.Itoa(retryLocked))
	case errors.Is(err, registry.Busy):
		set("Retry-After", strconv.Itoa(retryBusy))
	case p.StatusCode == http.StatusServiceUnavailable:
		set("Retry-After", strconv.Itoa(retryUnavailable))
	}
}

// Note keeps, for the log, the cause of a failure that is ours.
func (p *Problem) Note(ctx context.Context, err error) {
	if p.StatusCode >= http.StatusInternalServerError {
		request.From(ctx).Cause = err
	}
}

// Fail answers r with err.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	p.Note(r.Context(), err)
	p.Header(err, w.Header().Set)
	JSON(w, p.StatusCode, p)
}

// JSON answers with v.
func JSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // v is one of our own types, and they all encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has gone does not read it
}
