package ca

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"net/url"
	"strings"
)

const (
	maxSANs = 16

	// UserURN and the username, percent-encoded, are the URI by which a user may
	// name itself in its certificate.
	UserURN = "urn:mqttwarden:user:"
)

// SANType is a kind of subject alternative name (RFC 5280 section 4.2.1.6).
type SANType string

// The kinds that may stand in a client's certificate if the policy allows it;
// all others are refused.
const (
	SANDNS   SANType = "DNS"
	SANEmail SANType = "email"
	SANURI   SANType = "URI"
	SANIP    SANType = "IP"
)

// SAN is a subject alternative name that a request asks for. Value is printable
// ASCII, an IP address in its usual form.
type SAN struct {
	Type  SANType
	Value string
}

// SANPolicy reports whether a certificate for username may hold name.
type SANPolicy func(username string, name SAN) bool

// OwnNames is the default [SANPolicy]: the username itself where it is a DNS name
// without wildcard, and [UserURN] followed by the username.
func OwnNames(username string, name SAN) bool {
	switch name.Type {
	case SANDNS:
		return name.Value == username && validHost(name.Value)
	case SANURI:
		return name.Value == UserURN+url.PathEscape(username)
	case SANEmail, SANIP:
		return false
	default:
		return false
	}
}

// takeNames copies the alternative names that allow permits, and refuses the request
// for any other. It reads the extension itself, because crypto/x509 drops the kinds
// that it does not know, and those must be refused, too.
func (r *Request) takeNames(extensions []pkix.Extension, allow SANPolicy) error {
	subjectAltName := asn1.ObjectIdentifier{2, 5, 29, 17}
	for _, e := range extensions {
		if !e.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return requestError("extensions", "subject alternative names cannot be parsed")
		}
		if len(names) > maxSANs {
			return requestError("extensions", "more than %d subject alternative names", maxSANs)
		}
		for _, n := range names {
			if err := r.takeName(n, allow); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Request) takeName(n asn1.RawValue, allow SANPolicy) error {
	if n.Class != asn1.ClassContextSpecific || n.IsCompound {
		return requestError("extensions", "subject alternative name of a kind that is not supported: must be DNS, URI, email or IP")
	}
	name := SAN{Value: string(n.Bytes)}
	var ip netip.Addr
	switch n.Tag {
	case 1:
		name.Type = SANEmail
	case 2:
		name.Type = SANDNS
	case 6:
		name.Type = SANURI
	case 7:
		name.Type = SANIP
		addr, ok := netip.AddrFromSlice(n.Bytes)
		if !ok {
			return requestError("extensions", "subject alternative name is no IP address")
		}
		ip = addr.Unmap() // as it will be written into the certificate
		name.Value = ip.String()
	default:
		return requestError("extensions", "subject alternative name of a kind that is not supported: must be DNS, URI, email or IP")
	}
	if name.Value == "" || !isASCII(name.Value) || !printable(name.Value) {
		return requestError("extensions", "%s in the subject alternative names is not printable ASCII: %s", name.Type, quote(name.Value))
	}
	if !allow(r.username, name) {
		return requestError("extensions", "subject alternative name %s %s is not allowed for this user", name.Type, quote(name.Value))
	}
	switch name.Type {
	case SANEmail:
		r.emails = append(r.emails, name.Value)
	case SANDNS:
		r.dns = append(r.dns, name.Value)
	case SANURI:
		u, err := url.Parse(name.Value)
		if err != nil || u.String() != name.Value { // what is signed must be what was allowed
			return requestError("extensions", "URI %s is not in its normal form", quote(name.Value))
		}
		r.uris = append(r.uris, u)
	case SANIP:
		r.ips = append(r.ips, ip.AsSlice())
	default:
	}
	return nil
}

// validHost reports whether s can be the name of a host: labels of letters,
// digits, hyphens and underscores. Underscores are against RFC 1034 and common
// in container networks.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
