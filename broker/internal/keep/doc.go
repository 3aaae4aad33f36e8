// Package keep stores what has to survive a restart of the broker: sessions with
// their subscriptions and the messages on their way, and retained messages. It
// knows no broker and no users; it keeps what it is told to, in one file.
//
// # Batches
//
// Nobody waits for the disk. What is recorded goes into a batch in memory, and
// one goroutine commits the batch every flush interval, in one transaction that
// is synced. What is recorded and taken back within a batch, as most messages
// are, never reaches the disk. A kill loses what was recorded since the last
// commit, at most one interval of it while the disk works, and never part of a
// batch; [Store.Close] loses nothing.
//
// # The file
//
// It is a bbolt file with these buckets; lengths in keys are 16 bits, so that no
// two of them run into each other:
//
//	sessions       client ID                          Session
//	users          length, user, client ID            nothing: the sessions of a user
//	subscriptions  length, client ID, filter          Subscription
//	messages       length, client ID, packet ID       Delivery
//	received       length, client ID, packet ID       nothing
//	retained       topic                              Message
//	line           "position"                         the state of the register
//
// Every value begins with a version and ends with a checksum of key and value. After
// that comes a message authentication code (HMAC-SHA-256, 128 bits) of bucket, key and
// value: a record that the store has not written is left out. It does not show that a
// record is the last one under its key.
//
// A file says in which state the register was when it was written. One that knows of
// a state that the register never came to, for it was put back to an earlier one, is
// moved aside: its sessions rest on users and rights that are gone.
//
// The file is copied at every start: that leaves out what can't be read or
// belongs to nothing, gives space back, and shows damage before it can do harm.
// A file that can't be read through is moved aside.
package keep
