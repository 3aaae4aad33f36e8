package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// Mapping says which part of a client certificate is the username.
type Mapping string

// The mappings. A part that is there more than once is no name.
const (
	MapCommonName  Mapping = "cn"          // the default: the subject's common name
	MapDNS         Mapping = "dns"         // the one DNS name
	MapEmail       Mapping = "email"       // the one e-mail address
	MapURN         Mapping = "uri"         // the one URI with the scheme urn
	MapFingerprint Mapping = "fingerprint" // none: only registered certificates sign in
)

// ParseMapping returns the mapping of that name; empty is the default.
func ParseMapping(s string) (Mapping, error) {
	switch m := Mapping(s); m {
	case "":
		return MapCommonName, nil
	case MapCommonName, MapDNS, MapEmail, MapURN, MapFingerprint:
		return m, nil
	default:
		return "", registry.Errorf(registry.Invalid, "", "certificate mapping must be one of cn, dns, email, uri, fingerprint")
	}
}

// NameFromCertificate returns the username that a certificate carries, empty if it
// carries none or more than one. It does not check whether the certificate is
// trusted. Of a URN that begins with ca.UserURN the name is the rest, unescaped.
func NameFromCertificate(cert *x509.Certificate, m Mapping) string {
	var names []string
	switch m {
	case MapCommonName, "":
		commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
		for _, n := range cert.Subject.Names {
			if text, ok := n.Value.(string); ok && n.Type.Equal(commonName) {
				names = append(names, text)
			}
		}
	case MapDNS:
		names = cert.DNSNames
	case MapEmail:
		names = cert.EmailAddresses
	case MapURN:
		for _, u := range cert.URIs {
			if strings.EqualFold(u.Scheme, "urn") {
				names = append(names, urnName(u.String()))
			}
		}
	default:
	}
	if len(names) != 1 {
		return ""
	}
	return names[0]
}

func urnName(urn string) string {
	rest, ours := strings.CutPrefix(urn, ca.UserURN)
	if !ours {
		return urn
	}
	name, err := url.PathUnescape(rest)
	if err != nil {
		return ""
	}
	return name
}

// Certificate returns the certificate of a client as a credential: its fingerprint,
// the name it carries, whether it chains to a trust anchor now, and until when. peer
// is the chain that the client showed in a TLS handshake, in which it has proven to
// hold the first key. It returns nil if the client showed none.
func (a *Anchors) Certificate(peer []*x509.Certificate, m Mapping) *registry.Certificate {
	if len(peer) == 0 {
		return nil
	}
	leaf := peer[0]
	c := &registry.Certificate{
		SHA256: ca.Fingerprint(leaf), CommonName: NameFromCertificate(leaf, m), Own: a.isOwn(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
	if c.Own {
		c.Distrust = "our own CA issued it, and it is not registered"
		return c
	}
	chains, distrust := a.trustedChains(peer)
	if c.Distrust = distrust; len(chains) == 0 {
		return c
	}
	if c.CommonName == "" {
		c.Distrust = "it carries no name, or several"
	}
	c.Trusted, c.Paths, c.NotAfter = true, paths(chains), lastEnd(chains)
	return c
}

// isOwn reports whether our own authority issued a certificate.
func (a *Anchors) isOwn(leaf *x509.Certificate) bool {
	return a.cfg.Own != nil && slices.ContainsFunc(a.cfg.Own(), func(own *x509.Certificate) bool { return signedBy(leaf, own) })
}

// trustedChains returns the chains from the first of peer to an anchor (RFC 5280
// section 6), or why there is none.
func (a *Anchors) trustedChains(peer []*x509.Certificate) (all [][]*x509.Certificate, distrust string) {
	leaf, between := peer[0], x509.NewCertPool()
	for _, c := range peer[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.Pool(), Intermediates: between, CurrentTime: a.cfg.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, distrustOf(err, leaf, a.cfg.Now())
	}
	all = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool {
		return len(chain) == 1 // an anchor is not a client itself
	})
	if len(all) == 0 {
		return nil, "it is a trusted CA itself, and not registered"
	}
	return all, ""
}

func signedBy(c, issuer *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, issuer.RawSubject) && c.CheckSignatureFrom(issuer) == nil
}

func parseAnchor(a registry.Anchor) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(a.PEM))
	if block == nil {
		return nil, fmt.Errorf("pki: trust anchor %s is not PEM", a.ID)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("pki: trust anchor %s: %w", a.ID, err)
	}
	return c, nil
}
