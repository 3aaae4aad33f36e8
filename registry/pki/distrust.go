package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// distrustOf says in words why a certificate does not chain to an anchor, as err of
// x509.Certificate.Verify has it.
func distrustOf(err error, leaf *x509.Certificate, now time.Time) string {
	if weak(leaf.SignatureAlgorithm) {
		return fmt.Sprintf("it is signed with %v, which is too weak", leaf.SignatureAlgorithm)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalid(e, leaf, now)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if leaf.CheckSignatureFrom(leaf) == nil || string(leaf.RawIssuer) == string(leaf.RawSubject) {
			return "it is self-signed, and not registered"
		}
		return fmt.Sprintf("its CA is not known, or an intermediate certificate is missing: issued by %q", issuer(e, leaf))
	}
	return err.Error()
}

// invalid says what is wrong with a certificate or with one above it.
func invalid(e x509.CertificateInvalidError, leaf *x509.Certificate, now time.Time) string {
	which := "it"
	if e.Cert != nil && !e.Cert.Equal(leaf) {
		which = fmt.Sprintf("the CA %q above it", e.Cert.Subject)
	}
	switch {
	case e.Reason == x509.Expired && e.Cert != nil && now.Before(e.Cert.NotBefore):
		return fmt.Sprintf("%s is not valid before %s", which, e.Cert.NotBefore.UTC().Format(time.RFC3339))
	case e.Reason == x509.Expired && e.Cert != nil:
		return fmt.Sprintf("%s expired at %s", which, e.Cert.NotAfter.UTC().Format(time.RFC3339))
	case e.Reason == x509.IncompatibleUsage:
		return which + " is not for client authentication (extended key usage)"
	default:
		return fmt.Sprintf("%s is not valid: %v", which, e)
	}
}

// issuer returns the name of the CA that was looked for.
func issuer(e x509.UnknownAuthorityError, leaf *x509.Certificate) string {
	if e.Cert != nil {
		return e.Cert.Issuer.String()
	}
	return leaf.Issuer.String()
}

// weak reports whether nobody believes a signature of that kind any more.
func weak(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return true
	default:
		return false
	}
}
