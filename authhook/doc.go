// Package authhook is the hook of the broker: it asks the registry who a client
// is and what it may do, and holds nothing itself.
//
// A CONNECT that is let in makes a [registry.Subject] and a proof of identity into
// a [Login], which the broker keeps with the session: who it is, what it may
// publish and read, under which prefix, and whether it could sign in again. A
// login asks its subject at every decision, so a change of the user acts at once.
//
// What that does not reach are the subscriptions and waiting messages of a session
// that are no longer covered, and sessions that could not be opened again. So
// [Hook.Enforce], which the registry calls at every change of a user, has the
// broker judge that user's sessions anew; see [Sessions].
package authhook
