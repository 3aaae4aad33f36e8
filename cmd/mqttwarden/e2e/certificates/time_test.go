package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// valid makes name.crt and name.key, signed by themselves, for a CA or for a server on
// loopback, which is valid from and until so long after now.
func valid(k rig.PKI, name string, isCA bool, from, until time.Duration) {
	k.TB.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.TB.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		BasicConstraintsValid: true, IsCA: isCA, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		k.TB.Fatal(err)
	}
	k.Write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		k.TB.Fatal(err)
	}
	k.Write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestGapInTheServersChainIsTold (O12): it works on the machine of whoever set it up, who
// trusts the issuer, and nowhere else.
func TestGapInTheServersChainIsTold(t *testing.T) {
	k := rig.NewPKI(t)
	args := []string{"--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key")}
	p := rig.Launch(t, args...)
	if want := "the certificate of its issuer (CN=test CA) does not follow"; p.Log.Count(want) != 1 {
		t.Errorf("%q is not told:\n%s", want, p.Log)
	}
	p = rig.Launch(t, append(args, "--tls-client-ca", k.Path("ca.crt"))...)
	if p.Log.Count("level=WARN") != 0 {
		t.Errorf("a warning about a root that is known:\n%s", p.Log)
	}
}

const day = 24 * time.Hour

// TestClientCAsThatTimeHasEndedStopNothing (R4): one CA of several expires in every
// plant, and must not keep the others' devices out after the next restart.
func TestClientCAsThatTimeHasEndedStopNothing(t *testing.T) {
	k := rig.NewPKI(t)
	valid(k, "past", true, -2*day, -day)
	valid(k, "ahead", true, day, 2*day)
	k.Write("bundle.crt", k.Read("past.crt")+k.Read("ahead.crt")+k.Read("ca.crt"))
	k.Issue("gw1", "/CN=gw1")
	k.Make("gw2", "/CN=gw2", "-CA", k.Path("past.crt"), "-CAkey", k.Path("past.key"))
	k.Make("gw3", "/CN=gw3", "-CA", k.Path("ahead.crt"), "-CAkey", k.Path("ahead.key"))
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("server.crt"), "--tls-key", k.Path("server.key"), "--tls-client-ca", k.Path("bundle.crt"))
	for name, want := range map[string]byte{"gw1": rig.Success, "gw2": rig.NotAuthorized, "gw3": rig.NotAuthorized} {
		p.UserWith(name, rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}})
		rig.WantCode(t, name, k.Dial(p, 5, name).Connect(mqtttest.Connect{ClientID: name}).ReasonCode, want)
	}
	for want, times := range map[string]int{
		`use=client-ca subject="CN=past"`:             1,
		`use=client-ca subject="CN=ahead"`:            1,
		`problem="has expired on `:                    1,
		`problem="is not valid before `:               1,
		`a certificate is outside its validity" use=`: 2,
	} {
		if got := p.Log.Count(want); got != times {
			t.Errorf("%s is told %d times, want %d:\n%s", want, got, times, p.Log)
		}
	}
	p.AsAdmin()
	p.Reaches(`mqttwarden_certificates_invalid{use="client-ca"}`, 2)
	p.Reaches(`mqttwarden_certificates_invalid{use="authority"}`, 0)
}

// TestClientCAsMayBeMany takes what systems come with, and says what is too many.
func TestClientCAsMayBeMany(t *testing.T) {
	k := rig.NewPKI(t)
	var bundle strings.Builder
	for range 200 {
		k := rig.PKI{TB: t, Dir: t.TempDir()}
		valid(k, "one", true, -day, day)
		bundle.WriteString(k.Read("one.crt"))
	}
	k.Write("bundle.crt", bundle.String()+k.Read("ca.crt"))
	k.Issue("gw1", "/CN=gw1")
	args := []string{"--mqtts-addr", "127.0.0.1:0", "--tls-client-ca", k.Path("bundle.crt")}
	p := rig.Launch(t, args...)
	p.UserWith("gw1", rig.Object{"grantTypes": []rig.Object{{"method": "certificate"}}})
	own := p.Authority()
	k.Write("ca.crt", own.Read("ca.crt")) // which the client trusts for the listener
	rig.WantCode(t, "below the last of 201 CAs", k.Dial(p, 5, "gw1").Connect(mqtttest.Connect{ClientID: "c"}).ReasonCode, rig.Success)

	_, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(t.TempDir(), append(args, "--tls-client-ca-max", "200")...)...)
	if want := "tls-client-ca: " + k.Path("bundle.crt") + ": ca: certificates: more than 200 certificates: tls-client-ca-max allows more"; err == nil || err.Error() != want {
		t.Errorf("above the limit: %v, want %s", err, want)
	}
}

// TestServerCertificateThatTimeHasEndedIsShown: clients that do not look go on, and the
// others tell what is wrong.
func TestServerCertificateThatTimeHasEndedIsShown(t *testing.T) {
	k := rig.NewPKI(t)
	valid(k, "past", false, -2*day, -day)
	p := rig.Launch(t, "--mqtts-addr", "127.0.0.1:0", "--tls-cert", k.Path("past.crt"), "--tls-key", k.Path("past.key"))
	says(k, "certificate has expired", "s_client", "-connect", p.URLs["mqtts"])
	if !strings.Contains(p.Log.String(), `outside its validity" use=listener subject="CN=past"`) {
		t.Errorf("the log does not name it:\n%s", p.Log)
	}
	p.AsAdmin()
	p.Reaches(`mqttwarden_certificates_invalid{use="listener"}`, 1)
}

// TestOwnCertificateThatTimeHasEndedIsReplaced: many small computers begin in the year 1970,
// and some get there after their certificates were made.
func TestOwnCertificateThatTimeHasEndedIsReplaced(t *testing.T) {
	dir := rig.UsedDir(t)
	k := rig.PKI{TB: t, Dir: dir}
	for name, from := range map[string]time.Duration{"past": -2 * day, "ahead": day} {
		valid(k, "server", false, from, from+day)
		before := k.Read("server.crt")
		p := rig.LaunchIn(t, dir, rig.Secure...)
		if after, err := os.ReadFile(k.Path("server.crt")); err != nil || string(after) == before {
			t.Errorf("%s: the certificate stays, %v", name, err)
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
}
