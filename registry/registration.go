package registry

import (
	"net/netip"
	"time"
)

// Limits on registrations.
const (
	MaxRegistrationContext     = 1024 // bytes of what a client says about itself
	MaxRegistrationRoles       = 32   // wished role names
	MaxRegistrationPermissions = 64   // wished permissions
	maxRegistrationResources   = 8192 // bytes of all their resources together
	maxRegistrationClientID    = 256  // bytes that are kept
	defaultMaxRegistrations    = 1000 // pending and denied ones together
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

// RegistrationRequest is what a client sends to become a user: a password or a
// certificate request, and what it wishes for. The same request, sent again, asks
// how far it is.
type RegistrationRequest struct {
	Username    string
	Password    string // or
	CSR         string // PKCS#10 as PEM, or the base64 of it
	Context     string // for the person who decides
	Roles       []string
	Permissions []PermissionSpec
	Source      RegistrationSource
	Remote      netip.Addr
	ClientID    string // in the MQTT flow
}

// RegistrationAnswer says how far a registration is.
type RegistrationAnswer struct {
	Status         RegistrationStatus
	Username       string
	ID             RegistrationID // not while locked
	PairingCode    string         // likewise
	Certificate    string         // PEM; of a granted one with a CSR
	CACertificates string         // PEM, issuer first, root last; likewise
	RetryAfter     time.Duration  // when to ask again; 0: there is nothing more to ask
}

// RegistrationRef names a registration: by its username, and by its id or
// pairing code where the caller knows them.
type RegistrationRef struct {
	Username    string
	ID          RegistrationID // empty: any
	PairingCode string         // empty: any; case does not count
}

// Confirmation grants a registration: what the user gets is what stands here,
// whatever it wished for.
type Confirmation struct {
	Username    string
	ID          RegistrationID // empty: any
	PairingCode string         // empty: any; case does not count
	Roles       []RoleID
	Prefix      string
	Permissions []PermissionSpec // its own, kept in a private role
}

// HasCSR reports whether the registration asks for a certificate.
func (r *Registration) HasCSR() bool { return r.CSR != "" }
