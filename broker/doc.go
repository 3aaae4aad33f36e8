// Package broker is an MQTT broker (mochi-mqtt v2.7.9) behind listeners and a
// guard of our own. It owns sessions; who a client is and what it may do, it asks
// its [Hook].
//
// Mochi's listeners are not fit to face strangers (deploy/docs/adr/0003): they
// set no deadline before CONNECT, stop for ever at the first error of Accept,
// and can hang or deadlock when they are closed. Here every connection has one
// deadline from accept to CONNECT and one for each write, its goroutine recovers
// from a panic and cleans up after itself, and closing has a bound.
//
// A connection passes these layers on its way to mochi:
//
//	socket ─▶ [PROXY header] ─▶ [TLS] ─▶ [WebSocket]
//	  ─▶ conn (deadlines, certificate, address) ─▶ guard ─▶ mochi
//
// # A CONNECT
//
//	listener ─▶ guard (is it well formed?) ─▶ mochi ─▶ connect
//	  connect:   limits, client ID ─▶ Hook.Connect ─▶ sessions.claim (whose is the
//	             ID, one at a time) ─▶ Login.Check (again: the user may have
//	             changed since) ─▶ the will
//	  establish: takes over what lives under the client ID, with its queue
//	  CONNACK, and what waits for the client
//	  leave:     stores the session or removes it, and sends the will
//
// There is one register of sessions, by client ID and by user. Mochi knows each
// as one of its clients, whose connection is the guard, which knows the session.
//
// # A PUBLISH
//
//	guard: well formed? too fast? ─▶ Login.MayPublish: may it, and under which
//	  prefix? ─▶ mochi ─▶ for each subscriber Login.MayRead ─▶ its guard
//
// # A change
//
// [Broker.Rejudge] has the sessions of a user obey what the user is now. A login
// is asked at every decision, so a change acts at once; what Rejudge adds is to
// drop the subscriptions and waiting messages that are no longer covered, and to
// end sessions that could not be opened again.
package broker
