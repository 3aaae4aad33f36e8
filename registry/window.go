package registry

import "time"

// Limits of the time in which registrations are taken.
const (
	DefaultWindow = 30 * time.Second // of an OpenWindow that names no duration, by the contract
	MinWindow     = time.Millisecond
	MaxWindow     = 24 * time.Hour
)

// windowSkew is how far behind the clock of the node that opened the window
// another one's may be.
const windowSkew = time.Minute

// Window is the time in which registrations are taken. It closes by itself;
// nobody has to do anything for that. The zero Window never was open.
type Window struct {
	Opened time.Time
	Until  time.Time
}

// Open reports whether registrations are taken at now. A clock that was set back
// to before the opening closes the window: else it would stay open for longer
// than was asked for.
func (w Window) Open(now time.Time) bool {
	return now.Before(w.Until) && !now.Before(w.Opened.Add(-windowSkew))
}

// WindowStatus tells the state of the window at one moment.
type WindowStatus struct {
	Locked    bool
	OpenUntil time.Time     // zero while locked
	Remaining time.Duration // 0 while locked
}

// Status tells the state of the window at now.
func (w Window) Status(now time.Time) WindowStatus {
	if !w.Open(now) {
		return WindowStatus{Locked: true}
	}
	return WindowStatus{OpenUntil: w.Until, Remaining: w.Until.Sub(now)}
}
