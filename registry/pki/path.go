package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"time"

	"mqttwarden/registry"
)

// maxPaths bounds what is remembered of the ways from one certificate to a CA.
const maxPaths = 16

// paths returns the ways up that chains hold. Each CA of a chain may become an anchor
// itself, so each is one.
func paths(chains [][]*x509.Certificate) []registry.TrustPath {
	var all []registry.TrustPath
	for _, chain := range chains {
		for i, above := range chain[1:] {
			p := registry.TrustPath{Anchor: anchorName(above), NotAfter: firstEnd(chain[:i+1])}
			all = withPath(all, p)
		}
	}
	return all
}

// withPath adds a path unless there is one to the same CA that is as good.
func withPath(all []registry.TrustPath, p registry.TrustPath) []registry.TrustPath {
	i := slices.IndexFunc(all, func(q registry.TrustPath) bool { return q.Anchor == p.Anchor })
	switch {
	case i < 0 && len(all) < maxPaths:
		return append(all, p)
	case i >= 0 && p.NotAfter.After(all[i].NotAfter):
		all[i] = p
	default:
	}
	return all
}

// firstEnd returns when the first of the certificates ends.
func firstEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// lastEnd returns when the last of the chains ends.
func lastEnd(chains [][]*x509.Certificate) (last time.Time) {
	for _, chain := range chains {
		if end := firstEnd(chain); end.After(last) {
			last = end
		}
	}
	return last
}

// anchorName names a CA by what a certificate below it depends on: its name, its key,
// and the extensions that limit what it may sign (RFC 5280 section 6.1). A CA whose
// certificate was renewed with the same of all three is the same anchor.
func anchorName(c *x509.Certificate) string {
	h := sha256.New()
	h.Write(c.RawSubject)
	h.Write(c.RawSubjectPublicKeyInfo)
	for _, id := range []asn1.ObjectIdentifier{
		{2, 5, 29, 19}, // basic constraints
		{2, 5, 29, 30}, // name constraints
		{2, 5, 29, 37}, // extended key usage
	} {
		h.Write([]byte{0})
		for _, e := range c.Extensions {
			if e.Id.Equal(id) {
				h.Write(e.Value)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
