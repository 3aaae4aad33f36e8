// Package secret is about what must not be read: it hashes and verifies passwords,
// remembers which were right, encrypts values with the master key, and masks secrets
// in configuration.
//
//   - [Pool] hashes with Argon2id, so many at once that cores are left for the broker.
//   - [Verifier] remembers its answers, and repeats one in about a microsecond.
//   - [KeyRing] encrypts values for the store and for the shared cache.
//   - [Text] is a string that prints as a mask.
//
// Nothing here logs, and no error holds a password, a hash or a key.
package secret
