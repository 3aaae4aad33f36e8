package ca

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Certificates come in the forms that tools and editors write.
func TestParseTrustPEMTakesOtherForms(t *testing.T) {
	one, two := newCA(t, "one", nil, nil, nil), newCA(t, "two", nil, nil, nil)
	for name, in := range map[string]string{
		"a byte order mark":                   "\ufeff" + one.pem() + two.pem(),
		"files with marks, put together":      "\ufeff" + one.pem() + "\ufeff" + two.pem(),
		"a mark and CRLF":                     "\ufeff" + strings.ReplaceAll(one.pem()+two.pem(), "\n", "\r\n"),
		"DER, both in a row":                  string(one.cert.Raw) + string(two.cert.Raw),
		"text before, with a byte order mark": "\ufeffplant\n" + one.pem() + two.pem(),
	} {
		anchors, err := ParseTrustPEM([]byte(in), noon())
		if err != nil || len(anchors) != 2 || anchors[1].PEM != two.pem() {
			t.Errorf("%s: got %d, %v", name, len(anchors), err)
		}
	}
	if _, err := ParseTrustPEM(one.cert.Raw[:100], noon()); err == nil || !strings.Contains(err.Error(), "neither PEM nor certificates in DER") {
		t.Errorf("half of it: got %v", err)
	}
}

// A root of version 1 says nothing of being a CA. As an anchor it is a name and a key,
// and verifies what it has signed. One of version 3 has to say it.
func TestParseTrustPEMTakesARootOfVersion1(t *testing.T) {
	dir := t.TempDir()
	run := func(command string) { mustOpenssl(t, dir, strings.Fields(command)...) }
	run("ecparam -genkey -name prime256v1 -noout -out root.key")
	run("req -new -key root.key -subj /CN=Old_Root -out root.csr")
	run("x509 -req -in root.csr -signkey root.key -days 30 -out root.pem")
	run("ecparam -genkey -name prime256v1 -noout -out leaf.key")
	run("req -new -key leaf.key -subj /CN=gw-1 -out leaf.csr")
	writeFile(t, dir, "leaf.cnf", "extendedKeyUsage=clientAuth\n")
	run("x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 7 -days 20 -extfile leaf.cnf -out leaf.pem")
	run("x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 8 -days 20 -out below.pem")
	run("req -x509 -key root.key -subj /CN=Own -days 30 -addext basicConstraints=CA:FALSE -out v3.pem")

	anchors, err := ParseTrustPEM([]byte(readFile(t, filepath.Join(dir, "root.pem"))), time.Now())
	if err != nil || len(anchors) != 1 || anchors[0].Certificate.Version != 1 {
		t.Fatalf("got %v, %v", anchors, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchors[0].Certificate)
	block, _ := pem.Decode([]byte(readFile(t, filepath.Join(dir, "leaf.pem"))))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("what it signed: %v", err)
	}
	for _, name := range []string{"below.pem", "v3.pem"} {
		if _, err := ParseTrustPEM([]byte(readFile(t, filepath.Join(dir, name))), time.Now()); err == nil || !strings.Contains(err.Error(), "is not a CA") {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}
