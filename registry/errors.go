package registry

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an [Error] is. A Code is itself an error, so
// errors.Is(err, registry.NotFound) works.
type Code string

// The codes that callers may act on. Each dialect translates them once.
const (
	NotFound        Code = "not found"          // no such user, role, permission or token
	Conflict        Code = "conflict"           // taken, or in a state that forbids it
	Invalid         Code = "invalid"            // a field breaks its rule
	WeakPassword    Code = "weak password"      // breaks the password policy
	Forbidden       Code = "forbidden"          // known, but without the right or the grant type
	Unauthenticated Code = "unauthenticated"    // not proven who it is
	Locked          Code = "locked"             // refused for a time after too many failures
	TooOften        Code = "too often"          // more in a second than one user or address may; try again
	Busy            Code = "busy"               // too much under way: password work, registrations, requests; try again
	Unavailable     Code = "unavailable"        // the store can't be reached and nothing is cached
	LastAdmin       Code = "last administrator" // nobody with all rights would be left
	Internal        Code = "internal"           // a fault of ours; its text never leaves
)

// Error makes a Code an error.
func (c Code) Error() string { return string(c) }

// Error is a failure that a caller may act on. Detail is written for the person
// who made the request and is shown to them; Err is the cause, for the log only.
type Error struct {
	Code   Code
	Field  Field // the input at fault; may be empty
	Detail string
	Err    error
}

// Error returns the text for the log; it may hold internals.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Field != "" {
		s += ": " + string(e.Field)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is e's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Errorf makes an Error. field is the input at fault, or empty.
func Errorf(c Code, field Field, format string, args ...any) error {
	return &Error{Code: c, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Public returns what may leave the process: the code, the field and the detail.
// An error without a code becomes Internal with a fixed text.
func Public(err error) (c Code, field Field, detail string) {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != Internal {
		return e.Code, e.Field, e.Detail
	}
	if c, ok := errors.AsType[Code](err); ok && c != Internal {
		return c, "", string(c)
	}
	return Internal, "", "internal error"
}

// isNotFound reports whether err says that something is not there.
func isNotFound(err error) bool { return errors.Is(err, NotFound) }

// ignoreNotFound returns nil for NotFound and other errors as they are.
func ignoreNotFound(err error) error {
	if errors.Is(err, NotFound) {
		return nil
	}
	return err
}
