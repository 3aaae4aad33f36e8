// Package registry is the domain: who may do what, and who may change it.
//
// # Vocabulary
//
// A [User] is an account. It signs in with a credential: a password, a client
// certificate known by its fingerprint, or a token; its [GrantType] list says
// which. A [Permission] lets its holder read or write one resource over MQTT
// or HTTP, or forbids it. Permissions hang on a [Role]; a user holds roles. A
// user's own permissions hang on a private role that nobody else may hold.
//
// A [Record] is everything a decision needs to know of one user, read in one
// snapshot. Compiled, it is a [Principal]: immutable, shared by all sessions
// of that user. A [Subject] is the place where the current principal of a
// user stands; sessions keep the subject and ask it at every decision.
//
// A [Registration] is a request to become a user. It is taken while the
// [Window] is open, and becomes a user when somebody who may confirms it.
//
//	locked ──OpenWindow──▶ pending ──Confirm──▶ granted ──collected──▶ (gone)
//	                          └────Deny────▶ denied
//
// Pending and denied ones end with the window, whoever or whatever closes it;
// a granted one waits for its client, across locks and restarts. What a client
// sends to ask how far it is, is its request once more.
//
// An [Anchor] is a CA whose client certificates sign in the user whose name they
// carry. Our own authority, the [Issuer], is none: an [IssuedCertificate] signs
// in by its registered fingerprint only, so that taking that away revokes it,
// and a name that is given to another user gives nothing else away.
//
// # How a change reaches a live session
//
//	Service method ── one transaction: check, write, audit, number ──▶ commit
//	                                                                     │ wake
//	Follower ── reads changes past the number it has seen ◀──────────────┘
//	   ├─ reads the touched record from the store
//	   ├─ hands it to the cache, which keeps the newer number
//	   ├─ swaps the principal in its subject
//	   ├─ lets the enforcer re-judge the user's live sessions
//	   └─ moves the enforced mark: the receipt of GET /api/changes/{n}
//
// The package knows no network and no database. Stores implement the small
// interfaces of store.go; the doors (MQTT, HTTP) call [Service] and [SignIn].
package registry
