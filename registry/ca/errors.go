package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
)

// ErrExpired is returned by an authority that is asked to issue after its
// [Authority.NotAfter].
var ErrExpired = errors.New("ca: the issuing certificate has expired")

// ErrNotYetValid is returned by an authority that is asked to issue before its
// certificates are valid, as when the clock of the machine was lost.
var ErrNotYetValid = errors.New("ca: the issuing certificate is not valid yet")

// RequestError says why a request for a certificate was refused. Its texts may be
// shown to whoever sent the request; text that came from the request is quoted and
// cut.
type RequestError struct {
	// Field is the part of the request at fault: "csr" (its form), "subject",
	// "key", "signature", "extensions" or "hosts".
	Field  string
	Detail string // what is wrong with it and what is accepted
}

// Error implements error.
func (e *RequestError) Error() string { return "ca: " + e.Field + ": " + e.Detail }

func requestError(field, format string, args ...any) *RequestError {
	return &RequestError{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// CertificateError says what is wrong with a certificate that an operator wants to
// trust or to import. Its texts may be shown to the operator.
type CertificateError struct {
	Position int    // of the certificate in what was handed in, from 1; 0 for the whole of it
	Subject  string // of the certificate (RFC 2253); empty if it could not be read
	Detail   string
	TooMany  bool // the text is longer than the limit on it
}

// Error implements error.
func (e *CertificateError) Error() string {
	switch {
	case e.Position == 0:
		return "ca: certificates: " + e.Detail
	case e.Subject == "":
		return fmt.Sprintf("ca: certificate %d: %s", e.Position, e.Detail)
	default:
		return fmt.Sprintf("ca: certificate %d (%s): %s", e.Position, quote(e.Subject), e.Detail)
	}
}

// certificateError names c, which may be nil, at position.
func certificateError(position int, c *x509.Certificate, detail string) *CertificateError {
	e := &CertificateError{Position: position, Detail: detail}
	if c != nil {
		e.Subject = c.Subject.String()
	}
	return e
}

// quote makes text from outside fit for a message: cut, and with control characters
// escaped.
func quote(s string) string {
	const limit = 100 // bytes
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "…"
	}
	return strconv.Quote(s)
}
