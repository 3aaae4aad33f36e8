// Package pki knows which client certificates are believed, and issues some.
//
// Two ways lead from a certificate to a user:
//
//	registered fingerprint ────────────────────────────────▶ that user
//	chain to a trust anchor ──▶ the name it carries ───────▶ the user of that name
//
// An anchor is a CA that an operator uploaded or named in the settings. Our own
// authority is none: what it issued signs in by its registered fingerprint only. So
// removing the fingerprint revokes it, and a certificate does not sign in another
// user who is given the same name later.
//
// # Our own authority
//
// It comes in generations. The newest one issues; those before it go on signing
// the CRL and the OCSP answers about what they issued:
//
//	root 1 ──▶ generation 1 ──▶ generation 2 ──▶ … ──▶ root 2 ──▶ generation n
//	                                 imported ──▶ generation m (its root is not ours)
//
// The keys are sealed with the master key, bound to table, column and generation.
//
// # Files
//
//	pki.go          Open, and the names in the audit log
//	trust.go        the anchors in memory; certificate.go what a shown chain is worth
//	anchors.go      uploading and deleting anchors
//	issuer.go       the authority in memory; generations.go making the next one
//	issued.go       signing, recording, revoking
//	revocation.go   CRL (RFC 5280) and OCSP (RFC 6960)
//	uses.go         when certificates were last used
package pki
