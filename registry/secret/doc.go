// Package secret keeps what must not be read: it hashes and verifies passwords,
// remembers which were right, seals values with the master key, and masks
// secrets in configuration.
//
//   - [Pool] hashes with Argon2id, behind a bound that leaves cores for the broker.
//   - [Verifier] answers a question it has answered before in about a microsecond.
//   - [KeyRing] seals values for the store and for the shared cache.
//   - [Text] is a string that does not print.
//
// Nothing here logs, and no error holds a password, a hash or a key.
package secret
