package ca

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// MaxOCSPRequest is the longest request that [Authority.Respond] reads, in bytes.
const MaxOCSPRequest = 4 << 10

// State is what is known of a certificate. The zero State is Unknown.
type State int

// The states of RFC 6960 section 2.2.
const (
	StateUnknown State = iota
	StateGood
	StateRevoked
)

// Status is the answer about one serial number. RevokedAt and Reason count for
// StateRevoked only.
type Status struct {
	State     State
	RevokedAt time.Time
	Reason    Reason
}

// Respond answers an OCSP request (DER, RFC 6960). The response is always fit to be
// sent; the error is for the log, and is nil unless the response reports a failure of
// ours.
//
//   - a request that cannot be read, is too long or is signed: malformedRequest
//   - about a certificate of another issuer: unauthorized (RFC 5019 section 2.2.3)
//   - lookup fails: tryLater, and its error
//   - otherwise what lookup says, signed by the issuing certificate and valid for
//     Config.OCSPLife. A serial number that we can not have issued is unknown without
//     asking lookup.
//
// lookup says what is known of a serial number that is positive and at most 20
// bytes long.
//
// golang.org/x/crypto/ocsp sets three limits: a nonce is not echoed (clients
// must do without, RFC 9654 section 2.1), of a request about several
// certificates the first is answered, and producedAt is taken from the system's
// clock, to the minute.
func (a *Authority) Respond(request []byte, lookup func(serial *big.Int) (Status, error), now time.Time) ([]byte, error) {
	if len(request) > MaxOCSPRequest {
		return ocsp.MalformedRequestErrorResponse, nil
	}
	req, err := ocsp.ParseRequest(request)
	if err != nil {
		return ocsp.MalformedRequestErrorResponse, nil //nolint:nilerr // the client's mistake, and the client is told
	}
	ours, err := a.isIssuer(req)
	if err != nil {
		return ocsp.InternalErrorErrorResponse, err
	}
	if !ours {
		return ocsp.UnauthorizedErrorResponse, nil
	}
	var s Status
	if validSerial(req.SerialNumber) {
		if s, err = lookup(req.SerialNumber); err != nil {
			return ocsp.TryLaterErrorResponse, fmt.Errorf("ca: OCSP: %w", err)
		}
	}
	// Not backdated, as the status is known for this moment only; but whole
	// minutes, or it would be later than producedAt.
	start := now.Truncate(time.Minute)
	tmpl := ocsp.Response{
		SerialNumber: req.SerialNumber,
		IssuerHash:   req.HashAlgorithm,
		ThisUpdate:   start,
		NextUpdate:   now.Add(a.cfg.OCSPLife),
	}
	switch s.State {
	case StateGood:
		tmpl.Status = ocsp.Good
	case StateRevoked:
		if !s.Reason.valid() || s.RevokedAt.IsZero() {
			return ocsp.InternalErrorErrorResponse, errors.New("ca: OCSP: revocation without a valid reason and time")
		}
		tmpl.Status, tmpl.RevokedAt, tmpl.RevocationReason = ocsp.Revoked, earlier(s.RevokedAt, start), int(s.Reason)
	case StateUnknown:
		tmpl.Status = ocsp.Unknown
	default:
		tmpl.Status = ocsp.Unknown
	}
	der, err := ocsp.CreateResponse(a.chain[0], a.chain[0], tmpl, a.key)
	if err != nil {
		return ocsp.InternalErrorErrorResponse, fmt.Errorf("ca: OCSP: %w", err)
	}
	return der, nil
}

// isIssuer reports whether req asks about a certificate of a's issuing
// certificate: its name and its key, each hashed as the client chose.
func (a *Authority) isIssuer(req *ocsp.Request) (bool, error) {
	if !req.HashAlgorithm.Available() {
		return false, nil
	}
	bits, err := publicKeyBits(a.chain[0].RawSubjectPublicKeyInfo)
	if err != nil {
		return false, err
	}
	name, key := req.HashAlgorithm.New(), req.HashAlgorithm.New()
	name.Write(a.chain[0].RawSubject)
	key.Write(bits)
	return bytes.Equal(name.Sum(nil), req.IssuerNameHash) && bytes.Equal(key.Sum(nil), req.IssuerKeyHash), nil
}
