package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// MaxTrustPEM is the largest text that [ParseTrustPEM] reads, in bytes.
	MaxTrustPEM = 256 << 10

	maxCertificates = 128      // in one text
	certificateText = 16 << 10 // bytes of a file for each certificate, with what is written about it
	pemBegin        = "-----BEGIN "
)

// TrustAnchor is a CA certificate that an operator wants trusted.
type TrustAnchor struct {
	Certificate *x509.Certificate
	PEM         string // this certificate alone, as we write it
	Fingerprint string // as [Fingerprint]
}

// ParseTrustPEM reads one or more CA certificates, in PEM or in DER; text between the blocks is
// ignored and a certificate that is there twice counts once.
//
// It returns a [*CertificateError] that names the first certificate that is damaged,
// is no CA, may not sign certificates, has a weak key or is outside its validity. Then
// none of them is to be trusted.
func ParseTrustPEM(data []byte, now time.Time) ([]TrustAnchor, error) {
	certs, err := parseCertificates(data, uploaded())
	if err != nil {
		return nil, err
	}
	return anchorsOf(certs, func(position int, c *x509.Certificate) error {
		if err := checkCA(position, c); err != nil {
			return err
		}
		return checkValidity(position, c, now)
	})
}

// ParseTrustBundle is [ParseTrustPEM] for a file of at most limit certificates that stays
// where it is while time goes on: those outside their validity are among the anchors, and
// nothing that they signed verifies. [ValidityProblem] tells of them.
func ParseTrustBundle(data []byte, limit int) ([]TrustAnchor, error) {
	certs, err := parseCertificates(data, textLimit{certificates: limit, bytes: max(MaxTrustPEM, limit*certificateText)})
	if err != nil {
		return nil, err
	}
	return anchorsOf(certs, checkCA)
}

// ValidityProblem says why c is not valid at a time, as in "has expired on" and the day; it
// is empty if c is valid.
func ValidityProblem(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "has expired on " + c.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(c.NotBefore):
		return "is not valid before " + c.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}

// anchorsOf returns each of the certificates once, if all pass a check.
func anchorsOf(certs []*x509.Certificate, check func(position int, c *x509.Certificate) error) ([]TrustAnchor, error) {
	seen := make(map[string]bool, len(certs))
	anchors := make([]TrustAnchor, 0, len(certs))
	for i, c := range certs {
		if err := check(i+1, c); err != nil {
			return nil, err
		}
		fp := Fingerprint(c)
		if seen[fp] {
			continue
		}
		seen[fp] = true
		anchors = append(anchors, TrustAnchor{Certificate: c, PEM: encodeCertificates(certs[i : i+1]), Fingerprint: fp})
	}
	return anchors, nil
}

// checkCA reports whether c may sign certificates (RFC 5280 sections 4.2.1.9 and
// 4.2.1.3).
func checkCA(position int, c *x509.Certificate) error {
	switch problem := keyProblem(c.PublicKey); {
	case isOldRoot(c): // an anchor is a name and a key, RFC 5280 section 6.1.1 (d)
		if problem != "" {
			return certificateError(position, c, "key: "+problem)
		}
	case !c.BasicConstraintsValid || !c.IsCA:
		return certificateError(position, c, "is not a CA (basic constraints)")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0: // an absent extension limits nothing, section 6.1.4 (n)
		return certificateError(position, c, "may not sign certificates (key usage without keyCertSign)")
	case problem != "":
		return certificateError(position, c, "key: "+problem)
	case len(c.UnhandledCriticalExtensions) > 0: // nothing below it would ever verify
		return certificateError(position, c, fmt.Sprintf("has the critical extension %v, which is not supported", c.UnhandledCriticalExtensions[0]))
	}
	return nil
}

// isOldRoot reports whether c is a root of a time when certificates could not say that
// they are a CA (X.509 version 1). Its own signature proves nothing that its being
// trusted does not, and may be of a kind that is not verified any more.
func isOldRoot(c *x509.Certificate) bool {
	if c.Version != 1 || !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return false
	}
	err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	_, old := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || old
}

func checkValidity(position int, c *x509.Certificate, now time.Time) error {
	if problem := ValidityProblem(c, now); problem != "" {
		return certificateError(position, c, problem)
	}
	return nil
}

// textLimit bounds a text with certificates.
type textLimit struct{ certificates, bytes int }

// uploaded bounds what comes over the network.
func uploaded() textLimit { return textLimit{certificates: maxCertificates, bytes: MaxTrustPEM} }

// tooMany says that there are more certificates than that.
func (l textLimit) tooMany() error {
	return &CertificateError{TooMany: true, Detail: fmt.Sprintf("more than %d certificates", l.certificates)}
}

// parseCertificates reads at least one certificate. A block that pem.Decode
// would silently skip is an error.
func parseCertificates(data []byte, limit textLimit) ([]*x509.Certificate, error) {
	if len(data) > limit.bytes {
		return nil, &CertificateError{TooMany: true, Detail: fmt.Sprintf("more than %d bytes", limit.bytes)}
	}
	if isDER(data) {
		return parseDER(data, limit)
	}
	data = withoutMarks(data)
	var certs []*x509.Certificate
	for bytes.Contains(data, []byte(pemBegin)) {
		position := len(certs) + 1
		if position > limit.certificates {
			return nil, limit.tooMany()
		}
		block, rest := pem.Decode(data)
		if block == nil || bytes.Count(data[:len(data)-len(rest)], []byte(pemBegin)) != 1 {
			return nil, certificateError(position, nil, "is damaged PEM")
		}
		data = rest
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, certificateError(position, nil, "is a private key: it belongs nowhere but on its owner's machine")
		}
		if block.Type != "CERTIFICATE" {
			return nil, certificateError(position, nil, "is not a CERTIFICATE block")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, certificateError(position, nil, "cannot be parsed: "+quote(err.Error()))
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, certificateError(0, nil, "no PEM block of type CERTIFICATE")
	}
	return certs, nil
}

// parseDER reads one certificate or several in a row.
func parseDER(data []byte, limit textLimit) ([]*x509.Certificate, error) {
	certs, err := x509.ParseCertificates(data)
	switch {
	case err != nil:
		return nil, certificateError(0, nil, "is neither PEM nor certificates in DER: "+quote(err.Error()))
	case len(certs) > limit.certificates:
		return nil, limit.tooMany()
	}
	return certs, nil
}

// isDER reports whether data begins as a SEQUENCE does that is longer than 127 bytes,
// which text never does.
func isDER(data []byte) bool { return len(data) > 1 && data[0] == 0x30 && data[1] > 0x80 }

// withoutMarks returns text without the byte order marks that some editors write, also
// in the middle, where files were put together.
func withoutMarks(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\ufeff"), nil) }

func encodeCertificates(certs []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}
