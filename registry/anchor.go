package registry

import "time"

// AnchorID identifies a trust anchor: the fingerprint of its certificate.
type AnchorID string

// Anchor is an uploaded CA certificate. Client certificates below it sign in the
// user whose name they carry.
type Anchor struct {
	ID        AnchorID
	Subject   string // RFC 2253
	Issuer    string // RFC 2253
	Serial    string // as ca.FormatSerial
	NotBefore time.Time
	NotAfter  time.Time
	Added     time.Time
	PEM       string
}
