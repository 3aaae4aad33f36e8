package registry

import "time"

// Change is one row of the line of changes: from number N on, User is another
// than before. A commit that touches nobody has one row without a user, so
// that every commit has a number.
type Change struct {
	Number uint64
	User   UserID // empty: nobody in particular
	Time   time.Time
}
