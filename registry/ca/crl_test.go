package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCRL(t *testing.T) {
	a := newAuthorityAt(t, noon())
	good, goodCert := issue(t, a, "gw-1", noon())
	bad, badCert := issue(t, a, "gw-2", noon())
	now := noon().Add(time.Hour)
	at := noon().Add(time.Minute)
	der, err := a.CRL([]Revoked{
		{badCert.SerialNumber, at.Add(time.Minute), Superseded},
		{big.NewInt(7), at, Unspecified},
		{badCert.SerialNumber, at, KeyCompromise},
		{big.NewInt(9), now, Unspecified},
	}, 42, now)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignatureFrom(a.chain[0]); err != nil {
		t.Error(err)
	}
	if crl.Number.Int64() != 42 || !crl.ThisUpdate.Equal(now.Add(-5*time.Minute)) || !crl.NextUpdate.Equal(now.AddDate(0, 0, 7)) {
		t.Errorf("number %v, from %v to %v", crl.Number, crl.ThisUpdate, crl.NextUpdate)
	}
	if !bytes.Equal(crl.AuthorityKeyId, a.chain[0].SubjectKeyId) {
		t.Error("does not name its issuer's key")
	}
	entries := crl.RevokedCertificateEntries
	if len(entries) != 3 {
		t.Fatalf("%d entries, want 3", len(entries))
	}
	if e := entries[0]; e.SerialNumber.Int64() != 7 || e.ReasonCode != 0 || len(e.Extensions) != 0 {
		t.Errorf("unspecified is to have no reason: %+v", e)
	}
	if e := entries[1]; e.SerialNumber.Int64() != 9 || !e.RevocationTime.Equal(crl.ThisUpdate) {
		t.Errorf("an entry is dated after its list: %+v", e)
	}
	if e := entries[2]; e.SerialNumber.Cmp(badCert.SerialNumber) != 0 || e.ReasonCode != int(KeyCompromise) || !e.RevocationTime.Equal(at) {
		t.Errorf("of two revocations the earlier counts: %+v", e)
	}
	if goodCert.SerialNumber.Cmp(badCert.SerialNumber) == 0 {
		t.Fatal("one serial number twice")
	}

	dir := t.TempDir()
	writeFile(t, dir, "root.pem", a.RootPEM())
	writeFile(t, dir, "chain.pem", a.ChainPEM())
	writeFile(t, dir, "crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	verify := []string{"verify", "-crl_check", "-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", "root.pem", "-untrusted", "chain.pem", "-CRLfile", "crl.pem"}
	mustOpenssl(t, dir, append(verify, writeFile(t, dir, "good.pem", good.PEM))...)
	if out, ok := openssl(t, dir, append(verify, writeFile(t, dir, "bad.pem", bad.PEM))...); ok || !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl does not see it revoked:\n%s", out)
	}
	if text := mustOpenssl(t, dir, "crl", "-noout", "-text", "-in", "crl.pem"); !strings.Contains(text, "Key Compromise") {
		t.Errorf("openssl shows no reason:\n%s", text)
	}
}

func TestCRLOfAnExpiredAuthority(t *testing.T) {
	a := newAuthorityAt(t, noon())
	if _, err := a.CRL(nil, 1, a.NotAfter().AddDate(0, 1, 0)); err != nil {
		t.Error(err)
	}
}

func TestCRLRefusesEntriesThatMeanNothing(t *testing.T) {
	a := newAuthorityAt(t, noon())
	for name, r := range map[string]Revoked{
		"no serial":             {nil, noon(), Unspecified},
		"serial zero":           {new(big.Int), noon(), Unspecified},
		"negative serial":       {big.NewInt(-1), noon(), Unspecified},
		"serial too long":       {new(big.Int).Lsh(big.NewInt(1), 160), noon(), Unspecified},
		"no time":               {big.NewInt(1), time.Time{}, Unspecified},
		"reserved reason":       {big.NewInt(1), noon(), 7},
		"reason for delta CRLs": {big.NewInt(1), noon(), 8},
	} {
		if _, err := a.CRL([]Revoked{r}, 1, noon()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
