// Package v1 is the Auth API: users, their credentials, roles, permissions,
// sessions. Its names, shapes and statuses are a contract with existing clients; the
// rules are those of package registry.
//
// A handler decodes, calls the registry, and answers. Who may call it stands beside
// its path in routes.go and is decided before it runs.
package v1

import (
	"time"

	"mqttwarden/registry"
)

// Service is users and roles as this API uses them; *registry.Service implements it.
type Service interface {
	Users
	Credentials
	Roles
	Sessions
	Audit
	Ends
}

// Config holds what the API works with.
type Config struct {
	Service       Service
	Registrations Registrations
	Certificates  Certificates
	SignIn        SignIn
	Changes       Changes
	Retained      Retained
	Clients       Clients
	Node          string        // how this node is named
	Wait          time.Duration // for a change to be enforced before it is answered, where a request prefers nothing
	Late          func()        // is called when a change is answered before it is enforced
}

// API holds the handlers.
type API struct {
	users         Users
	credentials   Credentials
	roles         Roles
	sessions      Sessions
	registrations Registrations
	certificates  Certificates
	signIn        SignIn
	changes       Changes
	retained      Retained
	clients       Clients
	ends          Ends
	audit         Audit
	node          string
	wait          time.Duration
	late          func()
}

// New returns the API; Mount makes it reachable.
func New(cfg Config) *API {
	return &API{
		users: cfg.Service, credentials: cfg.Service, roles: cfg.Service, sessions: cfg.Service,
		registrations: cfg.Registrations, certificates: cfg.Certificates,
		signIn: cfg.SignIn, changes: cfg.Changes, retained: cfg.Retained, audit: cfg.Service,
		clients: cfg.Clients, ends: cfg.Service, node: cfg.Node,
		wait: cfg.Wait, late: cfg.Late,
	}
}

// Named is part of every request about one user.
type Named struct {
	ID string `path:"id" maxLength:"64" doc:"The user's id."`
}

func (n Named) user() registry.UserID { return registry.UserID(n.ID) }
