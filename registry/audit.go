package registry

import (
	"net/netip"
	"time"
)

// AuditEntry says who changed what. Entries are written in the transaction of
// the change they tell of and are never altered. They hold no secret.
type AuditEntry struct {
	ID     int64 // given by the store, growing
	Change uint64
	Time   time.Time
	Actor  string // username, "system", or empty: somebody who has no account
	Door   string // through which door: "api", "cli", "start"; "http", "mqtt" for registrations
	Remote netip.Addr
	Action string // "user.create", "role.permission.add", …
	Target string // id of what was changed
	Detail string // what changed, in a few words
}
