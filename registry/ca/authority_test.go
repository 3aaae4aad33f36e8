package ca

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestCreateMakesRootAndIssuing(t *testing.T) {
	a, rootKey, err := Create(Config{Name: "Plant 7"}, noon())
	if err != nil {
		t.Fatal(err)
	}
	chain := a.Certificates()
	if len(chain) != 2 {
		t.Fatalf("chain has %d certificates, want 2", len(chain))
	}
	issuing, root := chain[0], chain[1]
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"root's end", root.NotAfter, noon().AddDate(10, 0, 0)},
		{"issuing's end", issuing.NotAfter, noon().AddDate(5, 0, 0)},
		{"root starts five minutes back", root.NotBefore, noon().Add(-5 * time.Minute)},
		{"issuing starts five minutes back", issuing.NotBefore, noon().Add(-5 * time.Minute)},
		{"root's path length", root.MaxPathLen, 1},
		{"issuing's path length", issuing.MaxPathLen, 0},
		{"issuing is a CA", issuing.IsCA && issuing.BasicConstraintsValid, true},
		{"root's key identifiers", bytes.Equal(root.SubjectKeyId, root.AuthorityKeyId) && len(root.SubjectKeyId) == 20, true},
		{"issuing names root's key", bytes.Equal(issuing.AuthorityKeyId, root.SubjectKeyId), true},
		{"issuing's key is not the root's", bytes.Equal(issuing.SubjectKeyId, root.SubjectKeyId), false},
		{"organization", fmt.Sprint(issuing.Subject.Organization), "[Plant 7]"},
		{"authority's end", a.NotAfter(), issuing.NotAfter},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if err := issuing.CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}

	dir := t.TempDir()
	for name, c := range map[string]string{"root": a.RootPEM(), "issuing": strings.TrimSuffix(a.ChainPEM(), a.RootPEM())} {
		text := mustOpenssl(t, dir, "x509", "-noout", "-text", "-in", writeFile(t, dir, name+".pem", c))
		for _, want := range []string{"Basic Constraints: critical", "Key Usage: critical", "Certificate Sign, CRL Sign", "Subject Key Identifier", "Authority Key Identifier", "prime256v1"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: openssl shows no %q in\n%s", name, want, text)
			}
		}
	}
	if _, err := parseKey(rootKey); err != nil {
		t.Errorf("root key: %v", err)
	}
}

func TestTwoAuthoritiesHaveDifferentNames(t *testing.T) {
	a, b := newAuthorityAt(t, noon()), newAuthorityAt(t, noon())
	for i := range a.chain {
		if a.chain[i].Subject.String() == b.chain[i].Subject.String() {
			t.Errorf("both are %s", a.chain[i].Subject)
		}
	}
}

func TestLoadGivesBackWhatWasExported(t *testing.T) {
	cfg := Config{CRLURL: "http://pki.example.com/ca.crl"}
	a, _, err := Create(cfg, noon())
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.PrivateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(cfg, []byte(a.ChainPEM()), key)
	if err != nil {
		t.Fatal(err)
	}
	if b.ChainPEM() != a.ChainPEM() {
		t.Error("chain differs")
	}
	_, cert := issue(t, b, "gw-1", noon())
	if err := cert.CheckSignatureFrom(a.chain[0]); err != nil {
		t.Error(err)
	}
}

func TestNewIssuingBelowTheSameRoot(t *testing.T) {
	a, rootKey, err := Create(Config{}, noon())
	if err != nil {
		t.Fatal(err)
	}
	later := noon().AddDate(8, 0, 0)
	b, err := NewIssuing(Config{}, []byte(a.RootPEM()), rootKey, later)
	if err != nil {
		t.Fatal(err)
	}
	if b.RootPEM() != a.RootPEM() {
		t.Error("the root changed")
	}
	if bytes.Equal(b.chain[0].RawSubjectPublicKeyInfo, a.chain[0].RawSubjectPublicKeyInfo) {
		t.Error("the issuing key did not change")
	}
	if !b.chain[0].NotAfter.Equal(a.chain[1].NotAfter) {
		t.Errorf("issuing ends %v, want the root's end %v", b.chain[0].NotAfter, a.chain[1].NotAfter)
	}
	issue(t, b, "gw-1", later)

	issuingKey, err := a.PrivateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		cert, key string
		now       time.Time
		want      string
	}{
		{"expired root", a.RootPEM(), string(rootKey), noon().AddDate(11, 0, 0), "has expired"},
		{"another key", a.RootPEM(), string(issuingKey), noon(), "does not belong to the private key"},
		{"issuing certificate as root", a.ChainPEM(), string(issuingKey), noon(), "path length is 0"},
	} {
		_, err := NewIssuing(Config{}, []byte(tt.cert), []byte(tt.key), tt.now)
		wantCertificateError(t, tt.name, err, 1, tt.want)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, _, err := Create(Config{
		Name: "a\x00", CRLURL: "ftp://x", OCSPURL: "http://me:secret@pki.example.com/", ServerLife: 398 * 24 * time.Hour, CRLLife: time.Second, OCSPLife: -1,
	}, noon())
	if err == nil {
		t.Fatal("accepted")
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("repeats a password: %q", err)
	}
	for _, want := range []string{"Name", "CRLURL", "OCSPURL", "ServerLife", "CRLLife", "OCSPLife"} {
		if !strings.Contains(err.Error(), "ca: "+want+": ") {
			t.Errorf("%s is not named in %q", want, err)
		}
	}
}

func TestNoVerbPrintsTheKey(t *testing.T) {
	a := newAuthorityAt(t, noon())
	s, err := a.IssueServer(newKey(t), []string{"localhost"}, noon())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got, want := fmt.Sprintf(verb, a), "ca: "+a.chain[0].Subject.String(); got != want {
			t.Errorf("Authority with %s: %q, want %q", verb, got, want)
		}
		if got, want := fmt.Sprintf(verb, s), "ca: server certificate "+s.Serial; got != want {
			t.Errorf("Server with %s: %q, want %q", verb, got, want)
		}
	}
}

func TestSerialIsRandomAndNotZero(t *testing.T) {
	t.Run("a draw of zero is repeated", func(t *testing.T) {
		n, err := newSerial(io.MultiReader(bytes.NewReader(make([]byte, serialBytes)), bytes.NewReader(bytes.Repeat([]byte{0xff}, serialBytes))))
		if err != nil {
			t.Fatal(err)
		}
		if n.Sign() <= 0 || n.BitLen() != 128 {
			t.Errorf("got %v, want 2^128-1", n)
		}
	})
	t.Run("no randomness is an error", func(t *testing.T) {
		want := errors.New("empty")
		if _, err := newSerial(iotest.ErrReader(want)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	})
	t.Run("written form reads back", func(t *testing.T) {
		for _, s := range []string{"01", "ff00", strings.Repeat("7f", 20)} {
			n, err := ParseSerial(s)
			if err != nil {
				t.Fatal(err)
			}
			if got := FormatSerial(n); got != s {
				t.Errorf("got %s, want %s", got, s)
			}
		}
	})
	t.Run("a leading zero may be missing", func(t *testing.T) {
		n, err := ParseSerial("f00")
		if err != nil || FormatSerial(n) != "0f00" {
			t.Errorf("got %v, %v, want 0f00", n, err)
		}
	})
	for _, s := range []string{"", "00", "0", "xy", strings.Repeat("7f", 21)} {
		if n, err := ParseSerial(s); err == nil {
			t.Errorf("ParseSerial(%q) = %v, want an error", s, n)
		}
	}
	if validSerial(big.NewInt(-1)) || validSerial(nil) {
		t.Error("a negative or missing number is valid")
	}
}
