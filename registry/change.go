package registry

import (
	"strings"
	"time"
)

// Change is one row of the line of changes: from number Number on, what Kind and
// ID name is another than before. Every commit that can alter a decision has at
// least one.
type Change struct {
	Number uint64
	Kind   ChangeKind
	ID     string
	Time   time.Time
	Mark   uint64 // random, the same for all rows of a commit; see Position
}

// Position is a place in the line of changes. A number alone does not name one: a
// store that was put back to an earlier state gives the numbers that it had given
// out once more, to other changes. Who finds the mark of a number changed has met
// another history.
type Position struct {
	Number uint64
	Mark   uint64 // of the change with that number; 0 for number 0
}

// Position returns the place of the change.
func (c Change) Position() Position { return Position{c.Number, c.Mark} }

// ChangeKind says what a change is about, and so who has to hear of it. A program
// that meets a kind it does not know takes everything for changed.
type ChangeKind string

// The kinds of change, and what the ID is.
const (
	UserChange        ChangeKind = "user"        // its rights, its credentials, whether it exists: UserID
	RoleChange        ChangeKind = "role"        // its permissions or its name, for all who hold it: RoleID
	TokenChange       ChangeKind = "token"       // tokens that have ended: UserID, a slash and TokenID; without that all of the user's
	AnchorChange      ChangeKind = "anchor"      // what client certificates are trusted by: AnchorID
	AuthorityChange   ChangeKind = "authority"   // our certificate authority: its generation
	CertificateChange ChangeKind = "certificate" // one that we issued, of a user that is gone: its fingerprint
	WindowChange      ChangeKind = "window"      // whether registrations are taken: empty
	ClientIDChange    ChangeKind = "client id"   // for which user it is reserved: the client ID
)

// concerns reports whether who listens for changes of kind listener has to hear
// of one of kind k. Of one that this program does not know everybody has to.
func (k ChangeKind) concerns(listener ChangeKind) bool {
	switch k {
	case UserChange, RoleChange, TokenChange, AnchorChange, AuthorityChange, CertificateChange, WindowChange, ClientIDChange:
		return k == listener
	default:
		return true
	}
}

// Role returns the role that changed, empty for another change.
func (c Change) Role() RoleID {
	if c.Kind != RoleChange {
		return ""
	}
	return RoleID(c.ID)
}

// Tokens returns what has ended, if the change is of tokens.
func (c Change) Tokens() (EndedTokens, bool) {
	user, token, ok := strings.Cut(c.ID, "/")
	return EndedTokens{UserID(user), TokenID(token)}, ok && c.Kind == TokenChange
}

// EndedTokens is a token of a user that has ended or, if Token is empty, all of them.
type EndedTokens struct {
	User  UserID
	Token TokenID
}

// User returns whose change it is, empty for one that is no user's.
func (c Change) User() UserID {
	if c.Kind != UserChange {
		return ""
	}
	return UserID(c.ID)
}
