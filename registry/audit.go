package registry

import (
	"net/netip"
	"time"
)

// AuditEntry says who changed what. Entries are written in the transaction of
// the change they tell of and are never altered. They hold no secret.
//
// Its form is what an entry is hashed in: a field that is added later must be
// absent from the entries before.
type AuditEntry struct {
	ID     uint64 // given by the store, growing
	Change uint64 // the number of the last row of its transaction in the line of changes; 0: none
	Time   time.Time
	Actor  Actor
	Door   string     // through which door: "api", "cli", "start"; "http", "mqtt" for registrations
	Remote netip.Addr // where the actor was; may be invalid
	Action Action
	Target Target
	Fields []FieldChange // what changed, in the order of the target's fields
}

// Actor is who did something, as it was at that time.
type Actor struct {
	ID   UserID // empty: the program itself, or somebody who has no account
	Name string // "system" for the program itself; empty: somebody who has no account
}

// Action says what was done: the kind of thing, what became of it.
type Action string

// The actions of this package. Packages below it have further ones.
const (
	UserCreated       Action = "user.create"
	UserUpdated       Action = "user.update"
	UserDeleted       Action = "user.delete"
	PasswordChanged   Action = "user.password" // of one's own, or by whoever holds the store
	FingerprintAdded  Action = "user.certificate.add"
	FingerprintEnded  Action = "user.certificate.remove"
	RoleAssigned      Action = "user.role.add"
	RoleTaken         Action = "user.role.remove"
	TokenDeleted      Action = "user.token.delete" //nolint:gosec // the name of an action
	LoggedOut         Action = "token.logout"      // by the bearer of the token
	RoleCreated       Action = "role.create"
	RoleUpdated       Action = "role.update"
	RoleDeleted       Action = "role.delete"
	PermissionAdded   Action = "role.permission.add"
	PermissionUpdated Action = "role.permission.update"
	PermissionRemoved Action = "role.permission.remove"
	RetainedCleared   Action = "retained.clear"
	ClientEnded       Action = "client.disconnect"
	SessionDropped    Action = "client.session.drop"
)

// Target is what was changed, as it was named at that time.
type Target struct {
	Kind TargetKind
	ID   string
	Name string
}

// TargetKind says what a target is.
type TargetKind string

// What can be changed.
const (
	TargetUser         TargetKind = "user"
	TargetRole         TargetKind = "role"
	TargetRegistration TargetKind = "registration"
	TargetWindow       TargetKind = "registration window"
	TargetCertificate  TargetKind = "certificate" // one that we issued; its ID is the fingerprint
	TargetAnchor       TargetKind = "trust anchor"
	TargetAuthority    TargetKind = "certificate authority"
	TargetRetained     TargetKind = "retained messages" // its ID is a filter
	TargetClient       TargetKind = "client"            // its ID is the client ID, its name that of the user
)

// FieldChange is one field of the target before and after. Of a secret neither is
// told.
type FieldChange struct {
	Field  Field
	Before Value
	After  Value
}

// Value is the value of a field as JSON; empty: none, or one that is not told.
type Value string

// Audit adds an entry about what the caller does to target.
func (e *Edit) Audit(action Action, target Target, fields ...FieldChange) {
	e.AuditAs(Actor{ID: e.caller.ID, Name: e.caller.Username}, action, target, fields...)
}

// AuditAs is Audit for what somebody else than the caller has brought about, such
// as a client that has no account.
func (e *Edit) AuditAs(actor Actor, action Action, target Target, fields ...FieldChange) {
	e.audit = append(e.audit, AuditEntry{
		Actor: actor, Door: e.caller.Door, Remote: e.caller.Remote, Action: action, Target: target, Fields: fields,
	})
}
