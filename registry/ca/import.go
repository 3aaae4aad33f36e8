package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"time"
)

// Load returns the authority that [Authority.ChainPEM] and
// [Authority.PrivateKeyPEM] describe. It does not look at the clock: an expired
// authority loads, so that its CRL and OCSP go on, and refuses to issue.
//
// It returns a [*CertificateError] if the chain is not what [Import] accepts.
func Load(cfg Config, chainPEM, keyPEM []byte) (*Authority, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	chain, err := parseCertificates(chainPEM, uploaded())
	if err != nil {
		return nil, err
	}
	if err := checkChain(chain); err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	if err := checkIssuer(chain[0], key); err != nil {
		return nil, err
	}
	return newAuthority(cfg, chain, key), nil
}

// Import takes over an existing issuing certificate. chainPEM holds it first and
// then each certificate's issuer up to a self-signed root; keyPEM is its private
// key, unencrypted (PKCS#8, SEC 1 or PKCS#1): RSA of at least 2048 bits, ECDSA
// P-256 or P-384.
//
// It returns a [*CertificateError] that names the certificate at fault if one is
// no CA, may not sign certificates, is outside its validity or did not sign the
// one before it, or if the key is not that of the first.
func Import(cfg Config, chainPEM, keyPEM []byte, now time.Time) (*Authority, error) {
	a, err := Load(cfg, chainPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	for i, c := range a.chain {
		if err := checkValidity(i+1, c, now); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// checkChain reports whether each certificate is a CA that was signed by the one
// after it, up to a self-signed root.
func checkChain(chain []*x509.Certificate) error {
	for i, c := range chain {
		if err := checkCA(i+1, c); err != nil {
			return err
		}
		if c.MaxPathLen >= 0 && c.MaxPathLen < i {
			return certificateError(i+1, c, fmt.Sprintf("allows %d CAs below it, and has %d", c.MaxPathLen, i))
		}
		if i == len(chain)-1 {
			// Not CheckSignatureFrom: it refuses SHA-1, and the trust in a root does not
			// rest on its signature.
			if !bytes.Equal(c.RawIssuer, c.RawSubject) || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
				return certificateError(i+1, c, "is not self-signed: its issuer must follow, up to the root")
			}
			break
		}
		if !bytes.Equal(c.RawIssuer, chain[i+1].RawSubject) || c.CheckSignatureFrom(chain[i+1]) != nil {
			return certificateError(i+1, c, "is not signed by the certificate that follows it")
		}
	}
	return nil
}

// checkIssuer reports whether c and key can issue certificates and sign CRLs.
func checkIssuer(c *x509.Certificate, key crypto.Signer) error {
	switch pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); {
	case !ok || !pub.Equal(c.PublicKey):
		return certificateError(1, c, "does not belong to the private key")
	case c.KeyUsage&x509.KeyUsageCRLSign == 0:
		return certificateError(1, c, "may not sign CRLs (key usage cRLSign is missing)")
	case len(c.SubjectKeyId) == 0:
		return certificateError(1, c, "has no subject key identifier")
	case !mayIssueClients(c):
		return certificateError(1, c, "may not issue certificates for client authentication (extended key usage)")
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); ok && pub.Curve != elliptic.P256() && pub.Curve != elliptic.P384() {
		return certificateError(1, c, "has an ECDSA key that is neither P-256 nor P-384")
	}
	return nil
}

// mayIssueClients reports whether c's extended key usages, which bound those of
// the certificates below it, leave room for client authentication.
func mayIssueClients(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageAny || u == x509.ExtKeyUsageClientAuth {
			return true
		}
	}
	return false
}
