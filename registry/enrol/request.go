package enrol

import (
	"net/netip"
	"time"

	"mqttwarden/registry"
)

// Request is what a client sends to become a user: a password or a certificate
// request, and the rights that it wishes for. The same request, sent again, asks how
// far it is.
type Request struct {
	Username    string
	Password    string // either this
	CSR         string // or this: PKCS#10 as PEM, or the base64 of that
	Context     string // for the operator who decides
	Roles       []string
	Permissions []registry.PermissionSpec
	Source      registry.RegistrationSource // empty: HTTP
	Remote      netip.Addr
	ClientID    string // in the MQTT flow
}

// Answer says how far a registration is.
type Answer struct {
	Status         registry.RegistrationStatus
	Username       string
	ID             registry.RegistrationID // not while locked
	PairingCode    string                  // likewise
	Certificate    string                  // PEM; of a granted one with a CSR
	CACertificates string                  // PEM, issuer first, root last; likewise
	RetryAfter     time.Duration           // when to ask again; 0: there is nothing more to ask
}

const (
	retryLocked  = 10 * time.Second // what clients are told to wait
	retryPending = 5 * time.Second
)

// locked is the answer while no requests are taken. It does not tell whether there is
// such a user.
func locked(username string) Answer {
	return Answer{Status: registry.RegistrationLocked, Username: username, RetryAfter: retryLocked}
}

// answer returns the answer of a registration to the client that made it.
func answer(r *registry.Registration) Answer {
	a := Answer{Status: r.Status, Username: r.Username, ID: r.ID, PairingCode: r.PairingCode}
	switch r.Status {
	case registry.RegistrationPending:
		a.RetryAfter = retryPending
	case registry.RegistrationGranted:
		a.Certificate, a.CACertificates = r.Certificate, r.CACertificates
	default:
	}
	return a
}

// Ref names a registration: by its username, and by its id or pairing code where
// the caller knows them.
type Ref struct {
	Username    string
	ID          registry.RegistrationID // empty: any
	PairingCode string                  // empty: any; case does not count
}

// Confirmation grants a registration. The user gets the rights that stand here,
// whatever the request wished for.
type Confirmation struct {
	Ref

	Roles       []registry.RoleID
	Prefix      string
	Permissions []registry.PermissionSpec // its own, kept in a private role
}
