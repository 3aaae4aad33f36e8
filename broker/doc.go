// Package broker is the host: an MQTT broker (mochi-mqtt v2.7.9) behind
// listeners of our own.
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
//	  ─▶ conn (deadlines, certificate, address) ─▶ guard ─▶ mochi ─▶ the hook
//
// [Broker] knows nothing of users and rights: it takes exactly one hook, which
// decides about everything, and offers that hook what it needs to act on clients.
package broker
