package rediscache

// Reason says why Redis did not answer a look-up, so that the store was asked.
type Reason string

// The reasons. From Malformed on, something stood in Redis that was no answer.
const (
	Absent     Reason = "absent"     // nothing is there
	Unheard    Reason = "unheard"    // changes are not being heard: nothing cached can be believed
	Skipped    Reason = "skipped"    // Redis did not answer lately and was not asked
	Unanswered Reason = "unanswered" // Redis did not answer, or with an error
	Gone       Reason = "gone"       // the user was deleted
	Malformed  Reason = "malformed"  // not what this package writes
	Forged     Reason = "forged"     // does not open: altered, moved, or of another key
	Future     Reason = "future"     // from a node whose clock is ahead of ours
	Expired    Reason = "expired"    // older than the TTL
	Outdated   Reason = "outdated"   // the user has changed since
	Forgotten  Reason = "forgotten"  // older than the changes that are remembered
	Ahead      Reason = "ahead"      // read after a change that this node has not heard of yet
	Lost       Reason = "lost"       // read from another history: the store was put back since
	Moved      Reason = "moved"      // the name or fingerprint is no longer that user's
)

// reasons lists them all.
func reasons() []Reason {
	return []Reason{
		Absent, Unheard, Skipped, Unanswered, Gone, Malformed, Forged, Future, Expired, Outdated, Forgotten, Ahead, Lost, Moved,
	}
}

// suspect reports whether no node of ours leaves an entry in this state.
func (r Reason) suspect() bool { return r == Malformed || r == Forged || r == Future || r == Lost }

// old reports whether an entry was refused for its age, which is rare but comes
// about by itself.
func (r Reason) old() bool {
	return r == Expired || r == Outdated || r == Forgotten || r == Moved
}
