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
// A [Registration] is a request to become a user, taken while the [Window] is
// open. An [Anchor] is a CA whose client certificates sign in the user whose name
// they carry. An [IssuedCertificate] is one of our own authority.
//
// # Who changes what
//
// Whatever changes the register does so in a unit of work, an [Edit], that an
// [Editor] runs for a [Caller]: one transaction in which every rule is kept, every
// audit entry written and every number taken. Features live in packages below this
// one and share the unit of work:
//
//	registry      users, roles, permissions, credentials, tokens; sign-in
//	  enrol       devices that register themselves; renewal
//	  pki         trust anchors, our own authority, revocation
//	  node        puts all of it together for one node
//	  acl         policies: compile, decide, explain
//	  secret bearer ca     hashing and sealing; tokens; X.509
//	  sqlstore rediscache  the system of record; principals in Redis
//
// # How a change reaches a live session
//
//	Editor.Do ── one transaction: check, write, audit, number ──▶ commit
//	                                                                │ wake
//	Follower ── reads changes past the number it has seen ◀─────────┘
//	   ├─ of tokens: the enforcer ends the sessions that rest on them
//	   ├─ of another kind than a user: who listens for that reads it again
//	   ├─ of a user: reads the record from the store
//	   ├─ hands it to the cache, which keeps the newer number
//	   ├─ swaps the principal in its subject
//	   ├─ lets the enforcer re-judge the user's live sessions
//	   └─ moves the enforced mark: the receipt of GET /api/changes/{n}
//
// The package knows no network and no database. Stores implement the small
// interfaces of store.go; the doors (MQTT, HTTP) call [Service] and [SignIn].
//
// # Files
//
//	user.go role.go permission.go credential.go token.go …   the vocabulary
//	edit.go, edit_*.go    the unit of work and the rules
//	users.go roles.go passwords.go credentials.go logins.go  what the doors call
//	audit.go change.go field.go errors.go                    what is told of it
//	signin.go proof.go    from a credential to a principal
//	principals.go follower.go    principals in memory, kept true
//	store.go              what a store has to do
package registry
