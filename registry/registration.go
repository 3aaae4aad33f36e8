package registry

import (
	"net/netip"
	"time"
)

// RegistrationID identifies a registration.
type RegistrationID string

// RegistrationStatus says how far a registration is. Stored ones are pending,
// denied or granted.
type RegistrationStatus string

// The answers to a registration.
const (
	RegistrationLocked  RegistrationStatus = "locked"  // none are taken now
	RegistrationPending RegistrationStatus = "pending" // waits for somebody to decide
	RegistrationDenied  RegistrationStatus = "denied"  // until the window closes
	RegistrationGranted RegistrationStatus = "granted" // the user was made
)

// RegistrationSource says how a client asked.
type RegistrationSource string

// The two flows of the contract.
const (
	SourceHTTP RegistrationSource = "http" // it posted a request
	SourceMQTT RegistrationSource = "mqtt" // it tried to connect with a name that nobody has
)

// Registration is a request to become a user. Pending and denied ones live as
// long as the window is open; a granted one until its client has collected the
// answer.
type Registration struct {
	ID             RegistrationID
	Username       string
	PairingCode    string // six characters, by which a person tells one device from another
	PasswordHash   string // encoded; empty if it asks with a CSR
	CSR            string // as it was sent; empty if it asks with a password
	Context        string // what the client says about itself
	Roles          []string
	Permissions    []PermissionSpec
	Source         RegistrationSource
	Remote         netip.Addr
	ClientID       string // of the CONNECT, in the MQTT flow
	FirstSeen      time.Time
	LastSeen       time.Time // exact to a few seconds
	Status         RegistrationStatus
	User           UserID // of a granted one
	Certificate    string // PEM; of a granted one with a CSR
	CACertificates string // PEM; likewise
	Granted        time.Time
	Collected      time.Time // when a granted one was first answered; zero: not yet
}

// HasCSR reports whether the registration asks for a certificate.
func (r *Registration) HasCSR() bool { return r.CSR != "" }
