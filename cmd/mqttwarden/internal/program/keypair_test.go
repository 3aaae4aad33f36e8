package program

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/registry/ca"
)

// signed is a certificate with its key.
type signed struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (s signed) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw}))
}

func (s signed) keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// signs makes a certificate below another one, or one that signs itself.
func signs(t *testing.T, name string, by *signed) signed {
	t.Helper()
	key, err := ca.NewServerKey()
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: noon().AddDate(0, 0, -1), NotAfter: noon().AddDate(0, 0, 1),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent := signed{tmpl, key}
	if by != nil {
		parent = *by
	}
	der, err := x509.CreateCertificate(nil, tmpl, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed{cert, key}
}

func TestErrorsOfAKeyPairNameTheFile(t *testing.T) {
	root := signs(t, "root", nil)
	between := signs(t, "between", &root)
	leaf := signs(t, "leaf", &between)
	chain := leaf.pem() + between.pem()
	for _, tt := range []struct {
		name, cert, key string
		want            string // CERT and KEY stand for the files
	}{
		{"what is right", chain, leaf.keyPEM(t), ""},
		{"the key of another certificate", chain, root.keyPEM(t), "KEY is not the key of the certificate in CERT (CN=leaf): "},
		{"a chain upside down", between.pem() + leaf.pem(), leaf.keyPEM(t), "CERT: certificate 2 (CN=leaf) is that of the key in KEY: it must come first"},
		{"a chain with the root, upside down", root.pem() + between.pem() + leaf.pem(), leaf.keyPEM(t), "CERT: certificate 3 (CN=leaf) is that of the key in KEY"},
		{"no certificate", "", leaf.keyPEM(t), "CERT holds no certificate"},
		{"both the wrong way round", leaf.keyPEM(t), chain, "CERT holds no certificate"},
		{"a certificate in place of the key", chain, chain, "KEY is not the key of the certificate in CERT (CN=leaf): "},
		{"no key", chain, "", "KEY is not the key of the certificate in CERT (CN=leaf): "},
		{"a key under a password", chain, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "KEY: the key is encrypted"},
		{"a damaged certificate", leaf.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", root.keyPEM(t), "CERT: certificate 2: "},
	} {
		dir := t.TempDir()
		p := keyPair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
		for file, text := range map[string]string{p.certFile: tt.cert, p.keyFile: tt.key} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want := strings.NewReplacer("CERT", p.certFile, "KEY", p.keyFile).Replace(tt.want)
		if _, err := p.load(); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", tt.name, err, want)
		}
	}
	if _, err := (keyPair{"/nowhere.crt", "/nowhere.key"}).load(); err == nil || !strings.Contains(err.Error(), "/nowhere.crt") {
		t.Errorf("without a file: %v", err)
	}
}

func TestGapsInAChainAreTold(t *testing.T) {
	root := signs(t, "root", nil)
	between := signs(t, "between", &root)
	leaf, direct := signs(t, "leaf", &between), signs(t, "direct", &root)
	known := x509.NewCertPool()
	known.AddCert(root.cert)
	for _, tt := range []struct {
		name  string
		chain []*x509.Certificate
		want  string
	}{
		{"whole", []*x509.Certificate{leaf.cert, between.cert}, ""},
		{"with its root", []*x509.Certificate{leaf.cert, between.cert, root.cert}, ""},
		{"signed by itself", []*x509.Certificate{root.cert}, ""},
		{"below a root that is known", []*x509.Certificate{direct.cert}, ""},
		{"no intermediate", []*x509.Certificate{leaf.cert}, "the certificate of its issuer (CN=between) does not follow"},
		{"the root in place of the intermediate", []*x509.Certificate{leaf.cert, root.cert}, "certificate 2 (CN=root) did not sign the one before it (CN=leaf)"},
		{"out of order", []*x509.Certificate{leaf.cert, root.cert, between.cert}, "certificate 2 (CN=root) did not sign"},
	} {
		if got := gap(tt.chain, known); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: told %q, want %q", tt.name, got, tt.want)
		}
	}
}
