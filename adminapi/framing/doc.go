// Package framing keeps requests away from net/http whose end two readers may see in
// two places: those that have both Content-Length and Transfer-Encoding, or
// Transfer-Encoding in HTTP/1.0. Net/http takes one of the two and does not tell; a
// proxy that took the other one lets a client smuggle a request past it (RFC 9112,
// sections 6.1 and 11.2).
//
// A [Conn] follows the requests on a connection as they are read. What it refuses it
// spoils, so that net/http answers 400 in its turn, after the requests before it, and
// closes the connection. It is as strict as it has to be to see each request end where
// net/http does: whatever net/http understands and the scanner does not, is refused.
package framing
