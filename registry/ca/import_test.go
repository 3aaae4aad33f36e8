package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wantCertificateError checks the position and a piece of the detail.
func wantCertificateError(t *testing.T, name string, err error, position int, detail string) {
	t.Helper()
	e, ok := errors.AsType[*CertificateError](err)
	if !ok {
		t.Errorf("%s: got %v, want a *CertificateError", name, err)
		return
	}
	if e.Position != position || !strings.Contains(e.Error(), detail) {
		t.Errorf("%s: got %q at %d, want %q at %d", name, e, e.Position, detail, position)
	}
}

// testCA is a CA certificate made by crypto/x509, changed by change.
type testCA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (c testCA) pem() string { return encodeCertificates([]*x509.Certificate{c.cert}) }

func newCA(t testing.TB, name string, parent *testCA, key crypto.Signer, change func(*x509.Certificate)) testCA {
	t.Helper()
	if key == nil {
		key = newKey(t)
	}
	tmpl, err := caTemplate(name, "Test", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	tmpl.MaxPathLen = -1
	tmpl.NotBefore, tmpl.NotAfter = noon().AddDate(-1, 0, 0), noon().AddDate(1, 0, 0)
	if change != nil {
		change(tmpl)
	}
	if parent == nil {
		parent = &testCA{tmpl, key}
	}
	cert, err := create(tmpl, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	return testCA{cert, key}
}

func keyPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	b, err := encodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestImport(t *testing.T) {
	root := newCA(t, "root", nil, nil, nil)
	issuing := newCA(t, "issuing", &root, nil, nil)
	middle := newCA(t, "middle", &root, nil, nil)
	low := newCA(t, "low", &middle, nil, nil)

	accepted := []struct {
		name  string
		chain []testCA
	}{
		{"issuing and root", []testCA{issuing, root}},
		{"a root that issues itself", []testCA{root}},
		{"three levels", []testCA{low, middle, root}},
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := newCA(t, "issuing", &root, key, nil)
		accepted = append(accepted, struct {
			name  string
			chain []testCA
		}{"ECDSA " + curve.Params().Name, []testCA{c, root}})
	}
	for _, tt := range accepted {
		t.Run("accepts "+tt.name, func(t *testing.T) {
			a, err := Import(Config{}, []byte(join(tt.chain)), []byte(keyPEM(t, tt.chain[0].key)), noon())
			if err != nil {
				t.Fatal(err)
			}
			issued, _ := issue(t, a, "gw-1", noon())
			if got, want := issued.PEM+issued.ChainPEM, issued.PEM+join(tt.chain); got != want {
				t.Error("the chain handed out is not the one taken over")
			}
			if want := issued.PEM + join(tt.chain[:len(tt.chain)-1]); issued.FullPEM != want {
				t.Error("what a peer presents is not all but the root")
			}
		})
	}

	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(parent *testCA, key crypto.Signer, change func(*x509.Certificate)) testCA {
		return newCA(t, "changed", parent, key, change)
	}
	refused := []struct {
		name     string
		chain    []testCA
		key      string
		position int
		want     string
	}{
		{"no root", []testCA{issuing}, "", 1, "is not self-signed"},
		{"wrong order", []testCA{root, issuing}, "", 1, "is not signed by the certificate that follows"},
		{"a chain with a gap", []testCA{low, root}, "", 1, "is not signed by the certificate that follows"},
		{"a root of the same name with another key", []testCA{issuing, newCA(t, "root", nil, nil, nil)}, "", 1, "is not signed by"},
		{"another key", []testCA{issuing, root}, keyPEM(t, root.key), 1, "does not belong to the private key"},
		{"no CA", []testCA{with(&root, nil, func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, 0 }), root}, "", 1, "is not a CA"},
		{"may not sign certificates", []testCA{with(&root, nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), root}, "", 1, "keyCertSign"},
		{"may not sign CRLs", []testCA{with(&root, nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), root}, "", 1, "cRLSign"},
		{"no key usage", []testCA{with(&root, nil, func(c *x509.Certificate) { c.KeyUsage = 0 }), root}, "", 1, "cRLSign"},
		{"for servers only", []testCA{with(&root, nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), root}, "", 1, "client authentication"},
		{"expired", []testCA{with(&root, nil, func(c *x509.Certificate) { c.NotAfter = noon().Add(-time.Hour) }), root}, "", 1, "has expired"},
		{"not valid yet", []testCA{with(&root, nil, func(c *x509.Certificate) { c.NotBefore = noon().Add(time.Hour) }), root}, "", 1, "is not valid before"},
		{"a critical extension that nobody knows", []testCA{with(&root, nil, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), root}, "", 1, "critical extension 1.2.3.4"},
		{"P-521", []testCA{with(&root, p521, nil), root}, "", 1, "neither P-256 nor P-384"},
		{"Ed25519", []testCA{with(&root, ed, nil), root}, "", 0, "neither RSA nor ECDSA"},
		{"garbage for a key", []testCA{issuing, root}, "garbage", 0, "not PEM"},
		{"two keys", []testCA{issuing, root}, keyPEM(t, issuing.key) + keyPEM(t, root.key), 0, "more than one"},
		{"a certificate for a key", []testCA{issuing, root}, issuing.pem(), 0, "must be PRIVATE KEY"},
		{"a damaged key", []testCA{issuing, root}, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("12345")})), 0, "cannot be parsed"},
		{"no certificate", nil, keyPEM(t, issuing.key), 0, "no PEM block"},
	}
	short := newCA(t, "short", nil, nil, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	below := newCA(t, "below", &short, nil, nil)
	refused = append(refused, struct {
		name     string
		chain    []testCA
		key      string
		position int
		want     string
	}{"path length of the root", []testCA{below, short}, "", 2, "allows 0 CAs below it, and has 1"})
	for _, tt := range refused {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			key := tt.key
			if key == "" {
				key = keyPEM(t, tt.chain[0].key)
			}
			_, err := Import(Config{}, []byte(join(tt.chain)), []byte(key), noon())
			wantCertificateError(t, tt.name, err, tt.position, tt.want)
		})
	}
}

// TestImportFromOpenssl takes over what operators have: an RSA key in PKCS#1, an
// EC key in SEC 1 with its parameters in front, and refuses an encrypted one.
func TestImportFromOpenssl(t *testing.T) {
	dir := t.TempDir()
	mustOpenssl(t, dir, "genrsa", "-traditional", "-out", "rsa.key", "2048")
	mustOpenssl(t, dir, "ecparam", "-genkey", "-name", "secp384r1", "-out", "ec.key")
	if k := readFile(t, filepath.Join(dir, "ec.key")); !strings.HasPrefix(k, "-----BEGIN EC PARAMETERS") {
		t.Fatalf("openssl wrote no parameters: %s", k)
	}
	mustOpenssl(t, dir, "pkcs8", "-topk8", "-in", "ec.key", "-out", "sealed.key", "-passout", "pass:secret")
	for _, name := range []string{"rsa", "ec"} {
		mustOpenssl(t, dir, "req", "-x509", "-key", name+".key", "-out", name+".pem", "-subj", "/O=Plant/CN=Plant CA", "-days", "30",
			"-addext", "keyUsage=critical,keyCertSign,cRLSign")
		a, err := Import(Config{}, []byte(readFile(t, filepath.Join(dir, name+".pem"))), []byte(readFile(t, filepath.Join(dir, name+".key"))), time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		issued, _ := issue(t, a, "gw-1", time.Now())
		mustOpenssl(t, dir, "verify", "-purpose", "sslclient", "-CAfile", name+".pem", writeFile(t, dir, "leaf.pem", issued.PEM))
		if _, err := a.CRL(nil, 1, time.Now()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Import(Config{}, []byte(readFile(t, filepath.Join(dir, "ec.pem"))), []byte(readFile(t, filepath.Join(dir, "sealed.key"))), time.Now())
	wantCertificateError(t, "encrypted key", err, 0, "is encrypted")

	mustOpenssl(t, dir, "req", "-x509", "-key", "ec.key", "-out", "bare.pem", "-subj", "/CN=Plant CA", "-days", "30",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none")
	_, err = Import(Config{}, []byte(readFile(t, filepath.Join(dir, "bare.pem"))), []byte(readFile(t, filepath.Join(dir, "ec.key"))), time.Now())
	wantCertificateError(t, "no key identifier", err, 1, "no subject key identifier")
}

func join(chain []testCA) string {
	var b strings.Builder
	for _, c := range chain {
		b.WriteString(c.pem())
	}
	return b.String()
}
