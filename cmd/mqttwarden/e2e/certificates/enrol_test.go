package certificates

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/program"
	"mqttwarden/cmd/mqttwarden/internal/rig"
	"mqttwarden/registry/logtest"
)

// waiting are the registrations that wait for a decision, and how they came.
func waiting(p *rig.Program) map[string]string {
	p.TB.Helper()
	var list []struct{ Username, Source string }
	p.Must(http.StatusOK, "GET", "/client-registry", nil).Decode(p.TB, &list)
	sources := make(map[string]string)
	for _, r := range list {
		sources[r.Username] = r.Source
	}
	return sources
}

func TestKillBetweenConfirmationAndCollectionLosesNoCertificate(t *testing.T) {
	t.Parallel()
	p := rig.Spawn(t, rig.UsedDir(t), rig.Secure...)
	k := p.Authority()
	csr := k.Request("gateway-7")
	p.Open(time.Minute)
	p.Register(http.StatusAccepted, "gateway-7", csr)
	p.Confirm("gateway-7", rig.Object{"initialPermissions": []rig.Object{rig.Writes("a/#")}})
	p.Kill()

	p = rig.LaunchIn(t, p.Dir, rig.Secure...)
	k.Write("gateway-7.crt", p.Register(http.StatusCreated, "gateway-7", csr).Field(p, "certificate"))
	cl := k.Dial(p, 5, "gateway-7")
	cl.MustConnect(mqtttest.Connect{ClientID: "gateway-7"})
	rig.WantCode(t, "publish", cl.Publish("a/1", "", 1, false)&^0x10, rig.Success)
}

func TestRegistrationsThatAreNotGranted(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t)
	k := p.Authority()
	csr, other := k.Request("gateway-7"), k.Request("gateway-8")
	p.Must(http.StatusNotFound, "POST", "/client-registry/confirm", rig.Object{"username": "gateway-7"}) // while locked
	p.Open(time.Minute)
	p.Must(http.StatusNotFound, "POST", "/client-registry/confirm", rig.Object{"username": "gateway-7"})
	p.Must(http.StatusNotFound, "POST", "/client-registry/deny", rig.Object{"username": "gateway-7"})
	p.Register(http.StatusAccepted, "gateway-7", csr)
	code := p.Register(http.StatusAccepted, "gateway-8", other).Field(p, "pairingCode")

	p.Register(http.StatusConflict, "gateway-7", k.Request("gateway-7")) // another key, so another device
	p.Register(http.StatusBadRequest, "gateway-9", other)                // that is the name of another
	for _, decision := range []string{"confirm", "deny"} {
		p.Must(http.StatusConflict, "POST", "/client-registry/"+decision, rig.Object{"username": "gateway-7", "pairingCode": code})
	}
	p.Must(http.StatusNoContent, "POST", "/client-registry/deny", rig.Object{"username": "gateway-7"})
	denied := p.Register(http.StatusForbidden, "gateway-7", csr)
	if after := denied.Header.Get("Retry-After"); after != "" {
		t.Errorf("once denied Retry-After is %q, want none", after)
	}
	p.Must(http.StatusNotFound, "POST", "/client-registry/confirm", rig.Object{"username": "gateway-7"})
	p.Confirm("gateway-8", rig.Object{"pairingCode": code})
	p.Must(http.StatusNotFound, "POST", "/client-registry/confirm", rig.Object{"username": "gateway-8"})
}

func TestWindowClosesByItself(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t)
	csr := p.Authority().Request("gateway-7")
	p.Open(time.Minute)
	p.Register(http.StatusAccepted, "gateway-7", csr)
	p.Open(50 * time.Millisecond)

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(rig.Patience)
	for {
		var status struct{ Locked bool }
		p.Must(http.StatusOK, "GET", "/client-registry/status", nil).Decode(t, &status)
		if status.Locked {
			break
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the window stays open")
		}
	}
	p.Register(http.StatusLocked, "gateway-7", csr)
	p.Must(http.StatusNotFound, "POST", "/client-registry/confirm", rig.Object{"username": "gateway-7"})
	p.Open(time.Minute) // and what waited then is forgotten
	if got := waiting(p); len(got) > 0 {
		t.Errorf("%v wait, want none", got)
	}
}

func TestConnectOfAStrangerIsARegistration(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t)
	connect := func(name string) byte { return p.Dial(4).Connect(rig.As(name, name)).ReasonCode }
	const refused = 4 // bad user name or password
	rig.WantCode(t, "while locked", connect("too-early"), refused)
	p.Open(time.Minute)
	rig.WantCode(t, "while open", connect("pump-7"), refused)
	got := waiting(p)
	if len(got) != 1 || got["pump-7"] != "mqtt" {
		t.Fatalf("%v wait, want pump-7 by mqtt alone", got)
	}
	rig.WantCode(t, "before somebody decides", connect("pump-7"), refused)
	p.Confirm("pump-7", rig.Object{"initialPermissions": []rig.Object{rig.Writes("p/#")}})
	rig.WantCode(t, "with another password", p.Dial(4).Connect(mqtttest.Connect{ClientID: "pump-7", Username: "pump-7", Password: "another one"}).ReasonCode, refused)
	cl := p.Dial(4)
	cl.MustConnect(rig.As("pump-7", "pump-7"))
	p.Must(http.StatusNoContent, "POST", "/client-registry/lock", nil)
	rig.WantCode(t, "locked again", connect("too-late"), refused)
	p.Open(time.Minute)
	if got := waiting(p); len(got) > 0 {
		t.Errorf("%v wait, want none", got)
	}
}

// TestEnrolOutlastsARestart (O9): the device begins while the server is not up.
func TestEnrolOutlastsARestart(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t)
	p.Open(time.Minute)
	address := p.URLs["http"]
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	device, said := t.TempDir(), new(logtest.Buffer)
	ended := make(chan error, 1)
	go func() {
		ended <- program.Run(t.Context(), []string{"enroll", "--server", "http://" + address, "--username", "gateway-7", "--dir", device, "--timeout", "1m"},
			nil, strings.NewReader(""), said, said)
	}()
	if !said.Await("The server is not there", nil, rig.Patience) {
		t.Fatalf("the device says %s", said)
	}
	p = rig.LaunchIn(t, p.Dir, "--http-addr", address)
	if !said.Await("Pairing code: ", nil, rig.Patience) {
		t.Fatalf("the device says %s", said)
	}
	p.Confirm("gateway-7", rig.Object{"initialPermissions": []rig.Object{rig.Writes("a/#")}})
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestEnrolWithThePasswordOfAUser(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	k := p.Authority()
	enrol := func(password string) error {
		k.Write("password", password+"\n")
		_, _, err := rig.Attempt(t, nil, "", "enroll", "--server", "https://"+p.URLs["https"], "--ca-file", k.Path("root.crt"),
			"--username", "gateway-7", "--dir", k.Dir, "--timeout", "5s", "--password-file", k.Path("password"))
		return err
	}
	user := "/users/" + p.User("gateway-7", rig.Writes("a/#"))
	if err := enrol(rig.SecretOf("gateway-7")); err == nil || !strings.Contains(err.Error(), "grant types") {
		t.Errorf("a user that may not sign in with a certificate: %v", err)
	}
	p.Must(http.StatusOK, "PUT", user, rig.Object{"grantTypes": []rig.Object{{"method": "password"}, {"method": "certificate"}}})
	if err := enrol("a wrong password"); err == nil || !strings.Contains(err.Error(), "wrong user name or password") {
		t.Errorf("a wrong password: %v", err)
	}
	if err := enrol(rig.SecretOf("gateway-7")); err != nil {
		t.Fatal(err)
	}
	cl := k.Dial(p, 5, "gateway-7")
	cl.MustConnect(mqtttest.Connect{ClientID: "gateway-7"})
	rig.WantCode(t, "publish", cl.Publish("a/1", "", 1, false)&^0x10, rig.Success)
}

func TestEnrolGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	p.Open(time.Minute)
	k := p.Authority()
	enrol := func() (out string, err error) {
		out, _, err = rig.Attempt(t, nil, "", "enroll", "--server", "https://"+p.URLs["https"], "--ca-file", k.Path("root.crt"),
			"--username", "gateway-7", "--dir", k.Dir, "--timeout", "1s")
		return out, err
	}
	out, err := enrol()
	if err == nil || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("cut: %v, want to be told to run it again\n%s", err, out)
	}
	_, code, _ := strings.Cut(strings.TrimSpace(out), "Pairing code: ")
	csr, key := k.Read("gateway-7.csr"), k.Read("gateway-7.key")
	p.Confirm("gateway-7", rig.Object{"pairingCode": code, "initialPermissions": []rig.Object{rig.Writes("a/#")}})
	if code == "" {
		t.Errorf("no pairing code in %q", out)
	}
	if out, err = enrol(); err != nil {
		t.Fatalf("run again: %v\n%s", err, out)
	}
	if k.Read("gateway-7.csr") != csr || k.Read("gateway-7.key") != key {
		t.Error("run again, it made another key or request")
	}
	if k.Read("gateway-7.ca") != k.Read("ca.crt") {
		t.Error("it kept another chain than everybody gets")
	}
	info, err := os.Stat(k.Path("gateway-7.key"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the key's mode is %v, want 0600", mode)
	}
	cl := k.Dial(p, 5, "gateway-7")
	cl.MustConnect(mqtttest.Connect{ClientID: "gateway-7"})
	rig.WantCode(t, "publish", cl.Publish("a/1", "", 1, false)&^0x10, rig.Success)
}
