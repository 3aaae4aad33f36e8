package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseRequestAccepts(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"RSA 2048", []string{"-newkey", "rsa:2048"}},
		{"RSA-PSS signature", []string{"-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}},
		{"P-256", nil},
		{"P-384", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}},
		{"P-521", []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"}},
		{"Ed25519", []string{"-newkey", "ed25519"}},
		{"more in the subject than the common name", []string{"-subj", "/C=DE/O=Plant/CN=gw-1"}},
		{"own DNS name", []string{"-addext", "subjectAltName=DNS:gw-1"}},
		{"own URI", []string{"-addext", "subjectAltName=URI:urn:mqttwarden:user:gw-1"}},
		{"basic constraints that ask for nothing", []string{"-addext", "basicConstraints=CA:FALSE"}},
		{"extensions that will be ignored", []string{"-addext", "keyUsage=keyCertSign", "-addext", "extendedKeyUsage=serverAuth"}},
		{"text in front, as openssl req -text writes it", []string{"-text"}},
		{"the block's older name", []string{"-newhdr"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			csr := opensslCSR(t, tt.args...)
			b64 := base64.StdEncoding.EncodeToString([]byte(csr))
			for name, form := range map[string]string{
				"PEM":                  csr,
				"PEM with CRLF":        strings.ReplaceAll(csr, "\n", "\r\n"),
				"base64":               b64,
				"base64 with newlines": "\n" + b64[:76] + "\r\n \t" + b64[76:] + "\n",
			} {
				if _, err := ParseRequest(form, "gw-1", nil); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	key := newKey(t)
	named := func(cn string) string {
		return csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}}, key)
	}
	good := named("gw-1")
	tests := []struct {
		name     string
		csr      string
		username string // gw-1 if empty
		field    string
		want     string
	}{
		{"empty", "", "", "csr", "0 PEM blocks"},
		{"1 MiB", strings.Repeat("A", 1<<20), "", "csr", "longer than 16384 bytes"},
		{"16 KiB and a byte", strings.Repeat(" ", MaxRequest+1-len(good)) + good, "", "csr", "longer than"},
		{"wrong base64", "LS0tLS1CRUdJTi!", "", "csr", "neither PEM nor"},
		{"base64 of DER", base64.StdEncoding.EncodeToString(derOf(t, good)), "", "csr", "0 PEM blocks"},
		{"two blocks", good + good, "", "csr", "2 PEM blocks"},
		{"a damaged block before a good one", "-----BEGIN CERTIFICATE REQUEST-----\n!\n" + good, "", "csr", "2 PEM blocks"},
		{"a block without end", strings.TrimSuffix(good, "-----END CERTIFICATE REQUEST-----\n"), "", "csr", "damaged"},
		{"a certificate", newAuthorityAt(t, noon()).RootPEM(), "", "csr", "must be CERTIFICATE REQUEST"},
		{"PEM headers", strings.Replace(good, "REQUEST-----\n", "REQUEST-----\nA: b\n\n", 1), "", "csr", "no headers"},
		{"a block of garbage", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("garbage")})), "", "csr", "cannot be parsed"},
		{"bad signature", flip(t, good, -1), "", "signature", "does not fit"},
		{"content changed after signing", strings.TrimSpace(changed(t, good, "gw-1", "gw-2")), "gw-2", "signature", "does not fit"},
		{"RSA-PSS with a salt that nobody verifies", opensslCSR(t, "-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"), "", "signature", "unknown algorithm"},
		{"SHA-1", opensslCSR(t, "-newkey", "rsa:2048", "-sha1"), "", "signature", "SHA1"},
		{"RSA 1024", opensslCSR(t, "-newkey", "rsa:1024"), "", "key", "RSA with 1024 bits"},
		{"RSA with exponent 3", opensslCSR(t, "-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"), "", "key", "exponent 3"},
		{"P-224", opensslCSR(t, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"), "", "key", "P-224"},
		{"secp256k1", opensslCSR(t, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"), "", "csr", "unsupported elliptic curve"},
		{"Ed448", opensslCSR(t, "-newkey", "ed448"), "", "key", "unknown kind"},
		{"no subject", opensslCSR(t, "-subj", "/"), "", "subject", "is empty"},
		{"no common name", opensslCSR(t, "-subj", "/O=gw-1"), "", "subject", "is empty"},
		{"empty common name", named(""), "", "subject", "is empty"},
		{"another user's name", named("gw-2"), "", "subject", `"gw-2" is not the username`},
		{"the name in another case", named("GW-1"), "", "subject", "is not the username"},
		{"the name and a blank", named("gw-1 "), "", "subject", "is not the username"},
		{"two common names", opensslCSR(t, "-subj", "/CN=gw-1/CN=gw-1"), "", "subject", "has 2 common names"},
		{"two common names in one RDN", opensslCSR(t, "-multivalue-rdn", "-subj", "/CN=gw-1+CN=gw-2"), "", "subject", "has 2 common names"},
		{"NUL after the name", named("gw-1\x00.example.com"), "gw-1", "subject", "control characters"},
		{"NUL in the username too", named("gw-1\x00x"), "gw-1\x00x", "subject", "control characters"},
		{"a line break in another attribute", csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "gw-1", Organization: []string{"a\nb"}}}, key), "", "subject", "control characters"},
		{"invalid UTF-8", rawSubject(t, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("gw-\xe4")}), "gw-\xe4", "csr", "invalid UTF-8"},
		{"NUL in UTF-16", rawSubject(t, asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte("\x00g\x00\x00\x00x")}), "g\x00x", "subject", "control characters"},
		{"a number for a name", rawSubject(t, asn1.RawValue{Tag: asn1.TagInteger, Bytes: []byte{1}}), "1", "subject", "not text"},
		{"65 characters", named(strings.Repeat("ü", 65)), strings.Repeat("ü", 65), "subject", "more than 64 characters"},
		{"asks to be a CA", opensslCSR(t, "-addext", "basicConstraints=critical,CA:TRUE"), "", "extensions", "asks to be a CA"},
		{"asks for a path length", opensslCSR(t, "-addext", "basicConstraints=CA:TRUE,pathlen:0"), "", "extensions", "asks to be a CA"},
		{"asks for a path length only", withExtension(t, 19, []byte{0x30, 3, 2, 1, 0}), "", "extensions", "asks to be a CA"},
		{"a DNS name in pieces", withExtension(t, 17, sanDER(t, asn1.RawValue{Class: 2, Tag: 2, IsCompound: true, Bytes: []byte("gw-1")})), "", "extensions", "not supported"},
		{"garbage for basic constraints", withExtension(t, 19, []byte{0xff}), "", "extensions", "cannot be parsed"},
		{"another DNS name", opensslCSR(t, "-addext", "subjectAltName=DNS:gw-1,DNS:broker.example.com"), "", "extensions", `DNS "broker.example.com" is not allowed`},
		{"a wildcard that is the username", csrFor(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "*.example.com"}, DNSNames: []string{"*.example.com"}}, key), "*.example.com", "extensions", "is not allowed"},
		{"another user's URI", opensslCSR(t, "-addext", "subjectAltName=URI:urn:mqttwarden:user:gw-2"), "", "extensions", "is not allowed"},
		{"an IP address", opensslCSR(t, "-addext", "subjectAltName=IP:10.0.0.1"), "", "extensions", `IP "10.0.0.1" is not allowed`},
		{"an email address", opensslCSR(t, "-addext", "subjectAltName=email:gw-1@example.com"), "", "extensions", "is not allowed"},
		{"an otherName", opensslCSR(t, "-addext", "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:gw-1"), "", "extensions", "not supported"},
		{"a registered ID", opensslCSR(t, "-addext", "subjectAltName=RID:1.2.3.4"), "", "extensions", "not supported"},
		{"NUL in a DNS name", withExtension(t, 17, sanDER(t, asn1.RawValue{Class: 2, Tag: 2, Bytes: []byte("gw-1\x00")})), "", "extensions", "not printable"},
		{"an empty DNS name", withExtension(t, 17, sanDER(t, asn1.RawValue{Class: 2, Tag: 2})), "", "extensions", "not printable"},
		{"more names than a device has", withExtension(t, 17, sanDER(t, many(asn1.RawValue{Class: 2, Tag: 2, Bytes: []byte("gw-1")}, maxSANs+1)...)), "", "extensions", "more than 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			username := tt.username
			if username == "" {
				username = "gw-1"
			}
			_, err := ParseRequest(tt.csr, username, nil)
			e, ok := errors.AsType[*RequestError](err)
			if !ok {
				t.Fatalf("got %v, want a *RequestError", err)
			}
			if e.Field != tt.field || !strings.Contains(e.Detail, tt.want) {
				t.Errorf("got %s: %s, want %s: …%s…", e.Field, e.Detail, tt.field, tt.want)
			}
			if !printable(e.Detail) || len(e.Detail) > 300 {
				t.Errorf("not fit to be shown: %q", e.Detail)
			}
		})
	}
}

func TestSANPolicyOfTheCaller(t *testing.T) {
	u, err := url.Parse("spiffe://plant/gw-1")
	if err != nil {
		t.Fatal(err)
	}
	csr := csrFor(t, &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "gw-1"},
		DNSNames:       []string{"gw-1.example.com"},
		EmailAddresses: []string{"gw-1@example.com"},
		URIs:           []*url.URL{u},
		IPAddresses:    []net.IP{net.IPv4(10, 0, 0, 1)},
	}, newKey(t))
	var asked []SAN
	req, err := ParseRequest(csr, "gw-1", func(username string, name SAN) bool {
		asked = append(asked, name)
		return username == "gw-1"
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []SAN{{SANDNS, "gw-1.example.com"}, {SANEmail, "gw-1@example.com"}, {SANIP, "10.0.0.1"}, {SANURI, "spiffe://plant/gw-1"}}
	if len(asked) != len(want) {
		t.Fatalf("asked about %v, want %v", asked, want)
	}
	for i := range want {
		if asked[i] != want[i] {
			t.Errorf("asked about %v, want %v", asked[i], want[i])
		}
	}
	issued, err := newAuthorityAt(t, noon()).Issue(req, 0, noon())
	if err != nil {
		t.Fatal(err)
	}
	c := parsePEM(t, issued.PEM)
	if len(c.DNSNames) != 1 || len(c.EmailAddresses) != 1 || len(c.URIs) != 1 || len(c.IPAddresses) != 1 ||
		c.URIs[0].String() != "spiffe://plant/gw-1" || c.IPAddresses[0].String() != "10.0.0.1" {
		t.Errorf("certificate has %v %v %v %v", c.DNSNames, c.EmailAddresses, c.URIs, c.IPAddresses)
	}
}

// TestIPIsJudgedAsSigned: crypto/x509 writes an IPv4 address that is mapped to
// IPv6 as IPv4, so the policy has to see that.
func TestIPIsJudgedAsSigned(t *testing.T) {
	csr := withExtension(t, 17, sanDER(t, asn1.RawValue{Class: 2, Tag: 7, Bytes: net.IPv4(10, 0, 0, 1).To16()}))
	_, err := ParseRequest(csr, "gw-1", func(_ string, name SAN) bool { return name.Value != "10.0.0.1" })
	if e, ok := errors.AsType[*RequestError](err); !ok || !strings.Contains(e.Detail, "not allowed") {
		t.Errorf("got %v, want a *RequestError", err)
	}
}

// TestURIIsSignedAsJudged: url.URL may write a URI in another way than it was
// read; then something would be signed that the policy did not see.
func TestURIIsSignedAsJudged(t *testing.T) {
	csr := withExtension(t, 17, sanDER(t, asn1.RawValue{Class: 2, Tag: 6, Bytes: []byte("HTTP://plant/gw-1")}))
	_, err := ParseRequest(csr, "gw-1", func(string, SAN) bool { return true })
	if e, ok := errors.AsType[*RequestError](err); !ok || !strings.Contains(e.Detail, "normal form") {
		t.Errorf("got %v, want a *RequestError about the normal form", err)
	}
}

func TestOwnNames(t *testing.T) {
	for _, tt := range []struct {
		name     string
		username string
		san      SAN
		want     bool
	}{
		{"own DNS name", "gw-1.example.com", SAN{SANDNS, "gw-1.example.com"}, true},
		{"own DNS name in another case", "gw-1", SAN{SANDNS, "GW-1"}, false},
		{"a name below it", "example.com", SAN{SANDNS, "a.example.com"}, false},
		{"a username that is no DNS name", "gw@1", SAN{SANDNS, "gw@1"}, false},
		{"own URI", "gw-1", SAN{SANURI, "urn:mqttwarden:user:gw-1"}, true},
		{"own URI, percent-encoded", "gerät?", SAN{SANURI, "urn:mqttwarden:user:ger%C3%A4t%3F"}, true},
		{"a URI that only begins so", "gw-1", SAN{SANURI, "urn:mqttwarden:user:gw-1#x"}, false},
		{"email", "gw@example.com", SAN{SANEmail, "gw@example.com"}, false},
		{"IP", "10.0.0.1", SAN{SANIP, "10.0.0.1"}, false},
		{"a kind that does not exist", "gw-1", SAN{"", "gw-1"}, false},
	} {
		if got := OwnNames(tt.username, tt.san); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// FuzzParseRequest: whatever comes in, a request is either refused with a typed
// error that may be shown, or gives a certificate with just the username.
func FuzzParseRequest(f *testing.F) {
	key := newKey(f)
	for _, tmpl := range []*x509.CertificateRequest{
		{Subject: pkix.Name{CommonName: "gw-1"}},
		{Subject: pkix.Name{CommonName: "gw-1"}, DNSNames: []string{"gw-1"}, IPAddresses: []net.IP{net.IPv6loopback}},
	} {
		csr := csrFor(f, tmpl, key)
		f.Add(csr, "gw-1")
		f.Add(base64.StdEncoding.EncodeToString([]byte(csr)), "gw-1")
	}
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----", "")
	a := newAuthorityAt(f, noon())
	f.Fuzz(func(t *testing.T, csr, username string) {
		req, err := ParseRequest(csr, username, nil)
		if err != nil {
			e, ok := errors.AsType[*RequestError](err)
			if !ok || !utf8.ValidString(e.Detail) || !printable(e.Detail) {
				t.Fatalf("error is not fit to be shown: %q", err)
			}
			return
		}
		issued, err := a.Issue(req, 0, noon())
		if err != nil {
			t.Fatal(err)
		}
		if c := parsePEM(t, issued.PEM); c.Subject.CommonName != username || len(c.Subject.Names) != 1 || c.IsCA {
			t.Errorf("certificate for %q has subject %v, CA %v", username, c.Subject, c.IsCA)
		}
	})
}

func derOf(t testing.TB, csr string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		t.Fatalf("not PEM: %s", csr)
	}
	return block.Bytes
}

// flip changes the byte of the DER at i, counted from the end if negative.
func flip(t testing.TB, csr string, i int) string {
	t.Helper()
	der := derOf(t, csr)
	if i < 0 {
		i += len(der)
	}
	der[i] ^= 1
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// changed replaces text of the same length in the DER.
func changed(t testing.TB, csr, from, to string) string {
	t.Helper()
	der := []byte(strings.Replace(string(derOf(t, csr)), from, to, 1))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// rawSubject returns a request whose common name has a value of any type.
func rawSubject(t testing.TB, value asn1.RawValue) string {
	t.Helper()
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type rdnSET []attribute // the name's end makes it a SET
	subject, err := asn1.Marshal([]rdnSET{{{asn1.ObjectIdentifier{2, 5, 4, 3}, value}}})
	if err != nil {
		t.Fatal(err)
	}
	return csrFor(t, &x509.CertificateRequest{RawSubject: subject}, newKey(t))
}

// withExtension returns a request by gw-1 for the extension 2.5.29.id.
func withExtension(t testing.TB, id int, value []byte) string {
	t.Helper()
	return csrFor(t, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "gw-1"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Value: value}},
	}, newKey(t))
}

func sanDER(t testing.TB, names ...asn1.RawValue) []byte {
	t.Helper()
	der, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func many(v asn1.RawValue, n int) []asn1.RawValue {
	vs := make([]asn1.RawValue, n)
	for i := range vs {
		vs[i] = v
	}
	return vs
}
