package registry_test

import (
	"errors"
	"strings"
	"testing"

	"mqttwarden/registry"
)

func TestFingerprintsAsProgramsPrintThem(t *testing.T) {
	plain := strings.Repeat("98a3", 16)
	colons := strings.TrimSuffix(strings.Repeat("98:A3:", 16), ":")
	for name, in := range map[string]string{
		"plain": plain, "upper case": strings.ToUpper(plain), "colons": colons, "blanks": strings.ReplaceAll(colons, ":", " "),
		"openssl 1": "SHA256 Fingerprint=" + colons, "openssl 3": "sha256 Fingerprint=" + colons + "\n", "certtool": "sha256:" + plain,
		"certtool, indented": "\tsha256:" + plain, "certutil": "Cert Hash(sha256): " + plain, "a browser": "SHA-256: " + colons, "blanks around": "  " + plain + " \r\n",
	} {
		if got, err := registry.ParseFingerprint(in); err != nil || got != plain {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	for in, want := range map[string]string{
		strings.Repeat("a", 40):                       "that is SHA-1; give SHA-256",
		"SHA1 Fingerprint=" + colons[:59]:             "that is SHA-1; give SHA-256",
		"sha1:" + plain[:40]:                          "that is SHA-1; give SHA-256",
		"MD5 Fingerprint=" + colons[:47]:              "that is MD5; give SHA-256",
		"SHA512 Fingerprint=" + colons + ":" + colons: "that is SHA-512; give SHA-256",
		plain[1:]:             "must be a SHA-256 in hexadecimal",
		plain + "0":           "must be a SHA-256 in hexadecimal",
		"x" + plain[1:]:       "must be a SHA-256 in hexadecimal",
		"":                    "must be a SHA-256 in hexadecimal",
		"SHA256 Fingerprint=": "must be a SHA-256 in hexadecimal",
		"SHA256:jIeWV7Ktn8Rz3Pz8mGbvPPYXAC6Zfl5Zl3gYJg1jXQk": "must be a SHA-256 in hexadecimal",
		strings.Repeat(" ", 300) + plain:                     "must be a SHA-256 in hexadecimal",
	} {
		_, err := registry.ParseFingerprint(in)
		if _, field, detail := registry.Public(err); !errors.Is(err, registry.Invalid) || field != registry.FieldFingerprint || !strings.HasPrefix(detail, want) {
			t.Errorf("%.60q: got %v, want %s", in, err, want)
		}
	}
}
