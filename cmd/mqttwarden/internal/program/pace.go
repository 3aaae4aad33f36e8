package program

import "time"

// Pace is how often the program looks for what nobody tells it, and how long it waits.
type Pace struct {
	Changes time.Duration // in the store, made by others
	Files   time.Duration // of TLS, replaced by others
	Settle  time.Duration // for files of TLS that can't be used, as while a key follows its certificate
	Store   time.Duration // written meanwhile, for its main file
	Ask     time.Duration // a server again that is not there, the first time
}

// UsualPace is the pace at which the program runs, but in a test.
func UsualPace() Pace {
	return Pace{Changes: 2 * time.Second, Files: 2 * time.Second, Settle: 10 * time.Second, Store: 5 * time.Second, Ask: time.Second}
}
