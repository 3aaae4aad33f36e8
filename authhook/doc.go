// Package authhook is the one hook of the broker (mochi-mqtt v2.7.9): it asks
// the registry who may do what, and answers mochi.
//
// # A session
//
// A CONNECT that is let in makes a [registry.Subject] and a proof of identity
// into a session. The session takes the place of its client's connection
// (mochi's Client.Net.Conn), so that whoever has the client has the session: no
// table is asked on the hot path, and a session is judged for as long as mochi
// knows its client, also while it is stored and messages wait for it.
//
// The sessions by client ID and by user stand in a registry of our own. Mochi's
// map misses some clients (those that lost a race of CONNECTs) and keeps others
// for ever (those whose socket died in between), so the connection itself says
// when mochi is through with it; see [Conn].
//
// # One at a time
//
// Whatever changes what lives under a client ID (a CONNECT that takes it over,
// the end of a connection, the expiry of a stored session) holds that ID
// meanwhile. Mochi's own steps interleave otherwise, and leave connections that
// no map knows.
//
// # Changes
//
// [Hook.Enforce] makes the sessions of a user obey what the user is now. A
// session asks its subject at every decision, so a change acts at once; what
// Enforce adds is to drop the subscriptions and waiting messages that are no
// longer covered, and to end sessions that could not be opened again.
package authhook
