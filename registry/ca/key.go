package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
)

const (
	minRSA = 2048 // bits
	maxRSA = 8192 // bits: what crypto/tls accepts, and a bound on the work of verifying
)

// keyProblem says why pub may not stand in a certificate; it is empty if it may.
func keyProblem(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		switch n := k.N.BitLen(); {
		case n < minRSA || n > maxRSA:
			return fmt.Sprintf("RSA with %d bits: must have %d to %d", n, minRSA, maxRSA)
		case k.E < 65537 || k.E%2 == 0: // FIPS 186-5 section A.1.1
			return fmt.Sprintf("RSA with exponent %d: must be odd and at least 65537", k.E)
		}
		return ""
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return ""
		}
		return fmt.Sprintf("ECDSA on %s: must be P-256, P-384 or P-521", k.Params().Name)
	case ed25519.PublicKey:
		return ""
	default:
		return "unknown kind: must be RSA, ECDSA (P-256, P-384 or P-521) or Ed25519"
	}
}

// publicKeyBits returns the content of the BIT STRING in a
// SubjectPublicKeyInfo, which is what key identifiers and OCSP hash.
func publicKeyBits(spki []byte) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return nil, fmt.Errorf("ca: read public key: %w", err)
	}
	return info.PublicKey.RightAlign(), nil
}

// keyID returns the key identifier of RFC 7093 section 2 method 1.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("ca: encode public key: %w", err)
	}
	bits, err := publicKeyBits(spki)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bits)
	return sum[:20], nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("ca: encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey reads one RSA or ECDSA private key. Its errors hold nothing of the key, and
// no error of a parser, which might.
func parseKey(keyPEM []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(keyPEM)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes it first
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, certificateError(0, nil, "the private key is not PEM")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, certificateError(0, nil, "more than one private key")
	}
	var key any
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, certificateError(0, nil, "the private key is encrypted: decrypt it first")
	case block.Type == "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, certificateError(0, nil, "the private key's PEM block must be PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY")
	}
	if err != nil {
		return nil, certificateError(0, nil, "the private key cannot be parsed")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	default: // OCSP responses are signed with RSA or ECDSA only (x/crypto/ocsp)
		return nil, certificateError(0, nil, "the private key is neither RSA nor ECDSA")
	}
}
