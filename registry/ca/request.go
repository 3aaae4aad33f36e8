package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	// MaxRequest is the longest request that [ParseRequest] reads, in bytes as
	// it was sent.
	MaxRequest = 16 << 10

	maxCommonName = 64 // characters: ub-common-name, RFC 5280 appendix A.1
)

// Request is a certificate request that passed [ParseRequest]: its sender holds the
// private key, and every name in it is allowed for one user.
type Request struct {
	username string
	key      crypto.PublicKey
	dns      []string
	emails   []string
	uris     []*url.URL
	ips      []net.IP
}

// ParseRequest reads a PKCS#10 request (RFC 2986) for a certificate for username, in
// PEM or as the base64 of PEM. Blanks and line breaks around and within the base64 are
// ignored. allow says which alternative names it may ask for; nil is [OwnNames].
//
// The common name must be there once and equal username. Other attributes of the
// subject, and requested extensions other than alternative names, do not reach the
// certificate; a request to become a CA is refused. Every error is a [*RequestError].
func ParseRequest(csr, username string, allow SANPolicy) (*Request, error) {
	der, err := decodeRequest(csr)
	if err != nil {
		return nil, err
	}
	p, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, requestError("csr", "cannot be parsed as PKCS#10: %s", quote(err.Error()))
	}
	// The key is checked before the signature: its size bounds the work of verifying.
	if problem := keyProblem(p.PublicKey); problem != "" {
		return nil, requestError("key", "%s", problem)
	}
	switch p.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		return nil, requestError("signature", "%v is not accepted: sign with SHA-256 or better", p.SignatureAlgorithm)
	case x509.UnknownSignatureAlgorithm:
		return nil, requestError("signature", "unknown algorithm: sign with SHA-256, SHA-384, SHA-512 or Ed25519")
	default:
	}
	if p.CheckSignature() != nil {
		return nil, requestError("signature", "does not fit the public key and the content")
	}
	if err := checkSubject(p.Subject.Names, username); err != nil {
		return nil, err
	}
	if err := refuseCA(p.Extensions); err != nil {
		return nil, err
	}
	if allow == nil {
		allow = OwnNames
	}
	r := &Request{username: username, key: p.PublicKey}
	if err := r.takeNames(p.Extensions, allow); err != nil {
		return nil, err
	}
	return r, nil
}

// SameKey reports whether two requests are for the same key and the same common name.
// Both have passed [ParseRequest]: so who sent the one holds the private key of the
// other. Requests that are made anew differ in their signatures.
func SameKey(csr, other string) bool {
	a, errA := parsed(csr)
	b, errB := parsed(other)
	return errA == nil && errB == nil && a.Subject.CommonName == b.Subject.CommonName &&
		bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

func parsed(csr string) (*x509.CertificateRequest, error) {
	der, err := decodeRequest(csr)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificateRequest(der)
}

// decodeRequest returns the DER in the one block that csr must hold. Blocks are
// counted first, because pem.Decode skips a damaged one without an error.
func decodeRequest(csr string) ([]byte, error) {
	if len(csr) > MaxRequest {
		return nil, requestError("csr", "is longer than %d bytes", MaxRequest)
	}
	text := withoutMarks([]byte(csr))
	if !bytes.Contains(text, []byte(pemBegin)) {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			return nil, requestError("csr", "is neither PEM nor the base64 of PEM")
		}
		if isDER(decoded) {
			return nil, requestError("csr", "has 0 PEM blocks, it is DER: convert it to PEM, as openssl req -inform DER does")
		}
		text = withoutMarks(decoded)
	}
	if n := bytes.Count(text, []byte(pemBegin)); n != 1 {
		return nil, requestError("csr", "has %d PEM blocks: must have one", n)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, requestError("csr", "is damaged PEM")
	}
	// RFC 7468 section 7 allows the second name, which older tools write.
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, requestError("csr", "PEM block must be CERTIFICATE REQUEST, not %s", quote(block.Type))
	}
	if len(block.Headers) > 0 {
		return nil, requestError("csr", "PEM block must have no headers")
	}
	return block.Bytes, nil
}

// checkSubject reports whether names hold one common name, which is username,
// and nothing that could mislead a reader of it.
func checkSubject(names []pkix.AttributeTypeAndValue, username string) error {
	commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
	var cns []string
	for _, n := range names {
		s, isText := n.Value.(string)
		if isText && !printable(s) {
			return requestError("subject", "attribute %v holds control characters or is not UTF-8", n.Type)
		}
		if n.Type.Equal(commonName) {
			if !isText {
				return requestError("subject", "common name is not text")
			}
			cns = append(cns, s)
		}
	}
	switch {
	case len(cns) == 0 || len(cns) == 1 && cns[0] == "":
		return requestError("subject", "common name is empty: must be the username")
	case len(cns) > 1:
		return requestError("subject", "has %d common names: must have one, the username", len(cns))
	case cns[0] != username:
		return requestError("subject", "common name %s is not the username", quote(cns[0]))
	case utf8.RuneCountInString(username) > maxCommonName:
		return requestError("subject", "common name has more than %d characters, the limit of X.509: use a shorter username", maxCommonName)
	}
	return nil
}

// refuseCA returns an error if the request asks for basic constraints other than
// "not a CA". The certificate would not be a CA's in any case, but a request for one is
// a mistake or an attack, and is told.
func refuseCA(extensions []pkix.Extension) error {
	basicConstraints := asn1.ObjectIdentifier{2, 5, 29, 19}
	for _, e := range extensions {
		if !e.Id.Equal(basicConstraints) {
			continue
		}
		var bc struct {
			IsCA       bool `asn1:"optional"`
			MaxPathLen int  `asn1:"optional,default:-1"`
		}
		rest, err := asn1.Unmarshal(e.Value, &bc)
		if err != nil || len(rest) > 0 {
			return requestError("extensions", "basic constraints cannot be parsed")
		}
		if bc.IsCA || bc.MaxPathLen != -1 {
			return requestError("extensions", "asks to be a CA: only client certificates are issued")
		}
	}
	return nil
}
