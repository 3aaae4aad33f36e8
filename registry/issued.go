package registry

import (
	"time"

	"mqttwarden/registry/ca"
)

// IssuedCertificate is a client certificate of our own authority. It signs its
// user in only while its fingerprint is registered for that user, whatever it
// says itself: revoking it is removing the fingerprint.
type IssuedCertificate struct {
	Serial      string // as ca.FormatSerial
	Fingerprint string // as ParseFingerprint returns it
	Authority   uint64 // generation of the authority that issued it
	User        UserID // for whom; may be gone
	Username    string // as it stands in the certificate
	Replaces    string // fingerprint of the one it renews; empty: none
	NotBefore   time.Time
	NotAfter    time.Time
	Issued      time.Time
	Revoked     time.Time // zero: it is not
	Reason      ca.Reason // of the revocation
	PEM         string
}

// IssuedQuery selects a page of issued certificates, the oldest first.
type IssuedQuery struct {
	User          UserID    // empty: of all
	Username      string    // empty: of all
	Replaces      string    // fingerprint of what they renew; empty: of all
	Revoked       *bool     // nil: both
	ExpiresAfter  time.Time // zero: no bound
	ExpiresBefore time.Time // zero: no bound
	Offset, Limit int       // Limit 0: all
}
