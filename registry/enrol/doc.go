// Package enrol lets devices become users without anybody carrying a secret to them,
// and renews their certificates.
//
// A device that nobody knows sends a request with a password of its own, or with a
// certificate request (CSR), and repeats it until the answer is final. Requests are
// taken while the window is open. An operator compares the pairing code that the
// device shows with the one in the list, and confirms or denies. What the device
// gets is what the confirmation says, whatever the request wished for.
//
// What is stored for a username is in one of these states:
//
//	            request, window open
//	(nothing) ───────────────────────▶ pending ──Deny──▶ denied
//	    ▲                               │  │               │
//	    ├──────── window closes ────────┘  │               │
//	    ├──────── window closes ─────────────────────────── ┘
//	    │                                  │ Confirm: the user is made, its
//	    │                                  ▼ certificate is signed
//	    └── collected, or Collect passed ── granted
//
// A request is answered by that state and by whose request it is:
//
//	window  stored                     same secret            another secret
//	closed  nothing                    locked                 locked
//	closed  granted                    granted, collected     locked; Guessed is told
//	open    nothing, no such user      pending (is made)      -
//	open    nothing, a user            Conflict               Conflict
//	open    pending                    pending                Conflict
//	open    denied                     denied                 Conflict
//	open    granted                    granted, collected     Conflict; Guessed is told
//
// The secret is the password, or the key that the CSR is for: whoever signs another
// CSR with it is the same client. A registration with a
// password is deleted when it is collected: its user can sign in. One with a CSR may
// be collected again for a while (Settings.Grace), in case the answer is lost.
// Nothing here depends on a timer: what has expired does not count, and Sweep only
// removes it.
//
// # Files
//
//	enrol.go     Open and the settings
//	request.go   what a client sends and is answered; check.go its limits
//	register.go  the table above
//	decide.go    the operator's part: Pending, Confirm, Deny
//	window.go    the time in which requests are taken
//	unknown.go   an MQTT CONNECT with an unknown name as a request
//	renew.go     a new certificate for whoever signs in with one of ours
package enrol
