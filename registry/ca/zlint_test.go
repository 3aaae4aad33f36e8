package ca

import (
	"crypto/x509"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/ocsp"
)

// TestZlint holds what we sign against the lints of zlint, all of them: RFC 5280
// and its relatives, and the rules of the CA/Browser Forum (BR) and of the root
// programs. Those are for public CAs; where they do not fit, the lint and the
// reason stand here, and one that no longer fires has to be taken out again.
func TestZlint(t *testing.T) {
	const (
		lifetime = "the shrinking lives of 2026 to 2029 are for public CAs"
		private  = "BR naming and policy identifiers are promises of an audited, public CA"
		noRoot   = "the root signs no CRL, as its key is kept off line; an issuing certificate is withdrawn by replacing the root"
		listener = "listeners stand in private networks, and name no OCSP responder (see IssueServer)"
	)
	now := time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC) // when all lints of today are in force
	a := newAuthorityAt(t, now)
	server, err := a.IssueServer(newKey(t), []string{"broker.example.com", "10.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	client := func(args ...string) *x509.Certificate {
		req, err := ParseRequest(opensslCSR(t, append(args, "-addext", "subjectAltName=DNS:gw-1,URI:urn:mqttwarden:user:gw-1")...), "gw-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := a.Issue(req, 0, now)
		if err != nil {
			t.Fatal(err)
		}
		return parsePEM(t, issued.PEM)
	}
	ecdsaClient := client()
	for _, tt := range []struct {
		name   string
		cert   *x509.Certificate
		except map[string]string
	}{
		{"root", a.chain[1], map[string]string{"e_ca_country_name_missing": private}},
		{"issuing certificate", a.chain[0], map[string]string{
			"e_ca_country_name_missing":                private,
			"e_invalid_ca_certificate_policies":        private,
			"e_sub_ca_certificate_policies_missing":    private,
			"e_sub_ca_crl_distribution_points_missing": noRoot,
		}},
		{"client, ECDSA", ecdsaClient, nil},
		{"client, RSA", client("-newkey", "rsa:2048"), nil},
		{"client, Ed25519", client("-newkey", "ed25519"), nil},
		{"server", parsePEM(t, server.PEM), map[string]string{
			"e_sub_cert_cert_policy_empty":                 private,
			"e_sub_cert_certificate_policies_missing":      private,
			"e_server_cert_valid_time_longer_than_47_days": lifetime,
			"e_sub_cert_aia_missing":                       listener,
			"e_ext_san_contains_reserved_ip":               listener,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := zx509.ParseCertificate(tt.cert.Raw)
			if err != nil {
				t.Fatal(err)
			}
			wantErrors(t, zlint.LintCertificate(c), tt.except)
		})
	}
	t.Run("CRL", func(t *testing.T) {
		der, err := a.CRL([]Revoked{{big.NewInt(5), now, Superseded}, {big.NewInt(6), now, Unspecified}}, 1, now)
		if err != nil {
			t.Fatal(err)
		}
		crl, err := zx509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		wantErrors(t, zlint.LintRevocationList(crl), nil)
	})
	t.Run("OCSP response", func(t *testing.T) {
		now := time.Now() // x/crypto takes producedAt from there
		req, err := ocsp.CreateRequest(ecdsaClient, a.chain[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := a.Respond(req, func(*big.Int) (Status, error) { return Status{State: StateGood}, nil }, now)
		if err != nil {
			t.Fatal(err)
		}
		res, err := ocsp.ParseResponse(der, a.chain[0])
		if err != nil {
			t.Fatal(err)
		}
		wantErrors(t, zlint.LintOcspResponse(res), nil)
	})
}

// wantErrors checks that exactly the lints in except find an error, and that
// lints have run at all.
func wantErrors(t *testing.T, results *zlint.ResultSet, except map[string]string) {
	t.Helper()
	passed := 0
	for _, name := range slices.Sorted(maps.Keys(results.Results)) {
		switch r := results.Results[name]; {
		case r.Status == lint.Pass:
			passed++
		case r.Status >= lint.Error && except[name] == "":
			t.Errorf("%s: %s %s", name, r.Status, r.Details)
		}
	}
	for name := range except {
		if r := results.Results[name]; r == nil || r.Status < lint.Error {
			t.Errorf("%s finds nothing: take it off the list", name)
		}
	}
	if passed == 0 {
		t.Error("no lint applied")
	}
	t.Logf("%d lints passed", passed)
}
