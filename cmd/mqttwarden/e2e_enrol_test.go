package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
)

// register sends a request to become a user, as who has no account, and wants a
// status.
func (p *program) register(want int, name, csr string) answer {
	p.tb.Helper()
	b, err := json.Marshal(object{"username": name, "csr": csr, "context": "a test"})
	if err != nil {
		p.tb.Fatal(err)
	}
	a, err := p.send("POST", "/api/client-registry/register", string(b), "Content-Type", "application/json")
	if err != nil {
		p.tb.Fatal(err)
	}
	if a.status != want {
		p.tb.Fatalf("registration of %s: %d %s, want %d", name, a.status, a.body, want)
	}
	return a
}

// open has registrations taken.
func (p *program) open(d time.Duration) {
	p.tb.Helper()
	p.must(http.StatusNoContent, "POST", "/client-registry/open", object{"duration": d.Milliseconds()})
}

// confirm grants a registration, with further fields, and returns the user's id.
func (p *program) confirm(name string, fields object) string {
	p.tb.Helper()
	c := object{"username": name}
	for k, v := range fields {
		c[k] = v
	}
	return p.must(http.StatusCreated, "POST", "/client-registry/confirm", c).field(p, "id")
}

// enrol walks a device through all of it: name.key and name.crt are there then.
// It returns the user's id.
func (k pki) enrol(p *program, name string, fields object) string {
	k.tb.Helper()
	p.open(time.Minute)
	csr := k.request(name)
	p.register(http.StatusAccepted, name, csr)
	id := p.confirm(name, fields)
	k.write(name+".crt", p.register(http.StatusCreated, name, csr).field(p, "certificate"))
	return id
}

// waiting are the registrations that wait for a decision, and how they came.
func (p *program) waiting() map[string]string {
	p.tb.Helper()
	var list []struct{ Username, Source string }
	p.must(http.StatusOK, "GET", "/client-registry", nil).decode(p.tb, &list)
	sources := make(map[string]string)
	for _, r := range list {
		sources[r.Username] = r.Source
	}
	return sources
}

func TestDeviceRegistersItselfAndGetsACertificate(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	k := p.authority()
	csr := k.request("gateway-7")

	locked := p.register(http.StatusLocked, "gateway-7", csr)
	if after := locked.header.Get("Retry-After"); after != "10" {
		t.Errorf("while locked Retry-After is %q, want 10", after)
	}
	p.open(time.Minute)
	pending := p.register(http.StatusAccepted, "gateway-7", csr)
	if after := pending.header.Get("Retry-After"); after != "5" {
		t.Errorf("while pending Retry-After is %q, want 5", after)
	}
	code := pending.field(p, "pairingCode")
	if len(code) != 6 {
		t.Errorf("the pairing code is %q, want six characters", code)
	}
	if again := p.register(http.StatusAccepted, "gateway-7", csr).field(p, "pairingCode"); again != code {
		t.Errorf("asked again, the pairing code is %q, want %q", again, code)
	}
	p.confirm("gateway-7", object{
		"pairingCode": strings.ToLower(code), "mqttPublishPrefix": "site1/", "roles": []string{p.role("gateways", writes("site1/#"))},
	})
	granted := p.register(http.StatusCreated, "gateway-7", csr)
	if after := granted.header.Get("Retry-After"); after != "" {
		t.Errorf("once granted Retry-After is %q, want none", after)
	}
	k.write("gateway-7.crt", granted.field(p, "certificate"))
	if granted.field(p, "caCertificates") != k.read("ca.crt") {
		t.Error("the device was given another chain than everybody gets")
	}

	root, log, err := attempt(t, nil, "", "ca", "export", "--root", "--data-dir", p.dir)
	if err != nil {
		t.Fatalf("ca export: %v\n%s", err, log)
	}
	k.write("exported.crt", root)
	k.openssl("verify", "-CAfile", k.path("exported.crt"), "-untrusted", k.path("issuer.crt"), k.path("gateway-7.crt"))

	ops := p.connect(mqtttest.Connect{ClientID: "ops", Username: "admin", Password: adminPassword})
	ops.MustSubscribe("#", 1)
	k.mosquitto(p, "gateway-7", "exported.crt", "state", "up")
	expect(t, ops, "site1/state", "up")
}

// mosquitto publishes with the certificate of a device.
func (k pki) mosquitto(p *program, name, cafile, topic, payload string) {
	k.tb.Helper()
	host, port, err := net.SplitHostPort(p.urls["mqtts"])
	if err != nil {
		k.tb.Fatal(err)
	}
	out, err := exec.CommandContext(k.tb.Context(), "mosquitto_pub", "-V", "5", "-h", host, "-p", port, "-i", name, // #nosec G204 -- ours
		"--cafile", k.path(cafile), "--cert", k.path(name+".crt"), "--key", k.path(name+".key"),
		"-q", "1", "-t", topic, "-m", payload).CombinedOutput()
	if err != nil {
		k.tb.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
}

func TestKillBetweenConfirmationAndCollectionLosesNoCertificate(t *testing.T) {
	t.Parallel()
	p := spawn(t, usedDir(t), secure...)
	k := p.authority()
	csr := k.request("gateway-7")
	p.open(time.Minute)
	p.register(http.StatusAccepted, "gateway-7", csr)
	p.confirm("gateway-7", object{"initialPermissions": []object{writes("a/#")}})
	p.kill()

	p = spawn(t, p.dir, secure...)
	k.write("gateway-7.crt", p.register(http.StatusCreated, "gateway-7", csr).field(p, "certificate"))
	cl := k.dial(p, 5, "gateway-7")
	cl.MustConnect(mqtttest.Connect{ClientID: "gateway-7"})
	wantCode(t, "publish", cl.Publish("a/1", "", 1, false)&^0x10, success)
}

func TestRegistrationsThatAreNotGranted(t *testing.T) {
	t.Parallel()
	p := launch(t)
	k := p.authority()
	csr, other := k.request("gateway-7"), k.request("gateway-8")
	p.must(http.StatusNotFound, "POST", "/client-registry/confirm", object{"username": "gateway-7"}) // while locked
	p.open(time.Minute)
	p.must(http.StatusNotFound, "POST", "/client-registry/confirm", object{"username": "gateway-7"})
	p.must(http.StatusNotFound, "POST", "/client-registry/deny", object{"username": "gateway-7"})
	p.register(http.StatusAccepted, "gateway-7", csr)
	code := p.register(http.StatusAccepted, "gateway-8", other).field(p, "pairingCode")

	p.register(http.StatusConflict, "gateway-7", k.request("gateway-7")) // another key, so another device
	p.register(http.StatusBadRequest, "gateway-9", other)                // that is the name of another
	for _, decision := range []string{"confirm", "deny"} {
		p.must(http.StatusConflict, "POST", "/client-registry/"+decision, object{"username": "gateway-7", "pairingCode": code})
	}
	p.must(http.StatusNoContent, "POST", "/client-registry/deny", object{"username": "gateway-7"})
	denied := p.register(http.StatusForbidden, "gateway-7", csr)
	if after := denied.header.Get("Retry-After"); after != "" {
		t.Errorf("once denied Retry-After is %q, want none", after)
	}
	p.must(http.StatusNotFound, "POST", "/client-registry/confirm", object{"username": "gateway-7"})
	p.confirm("gateway-8", object{"pairingCode": code})
	p.must(http.StatusNotFound, "POST", "/client-registry/confirm", object{"username": "gateway-8"})
}

func TestWindowClosesByItself(t *testing.T) {
	t.Parallel()
	p := launch(t)
	csr := p.authority().request("gateway-7")
	p.open(time.Minute)
	p.register(http.StatusAccepted, "gateway-7", csr)
	p.open(50 * time.Millisecond)

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		var status struct{ Locked bool }
		p.must(http.StatusOK, "GET", "/client-registry/status", nil).decode(t, &status)
		if status.Locked {
			break
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the window stays open")
		}
	}
	p.register(http.StatusLocked, "gateway-7", csr)
	p.must(http.StatusNotFound, "POST", "/client-registry/confirm", object{"username": "gateway-7"})
	p.open(time.Minute) // and what waited then is forgotten
	if got := p.waiting(); len(got) > 0 {
		t.Errorf("%v wait, want none", got)
	}
}

func TestConnectOfAStrangerIsARegistration(t *testing.T) {
	t.Parallel()
	p := launch(t)
	connect := func(name string) byte { return p.dial(4).Connect(as(name, name)).ReasonCode }
	const refused = 4 // bad user name or password
	wantCode(t, "while locked", connect("too-early"), refused)
	p.open(time.Minute)
	wantCode(t, "while open", connect("pump-7"), refused)
	got := p.waiting()
	if len(got) != 1 || got["pump-7"] != "mqtt" {
		t.Fatalf("%v wait, want pump-7 by mqtt alone", got)
	}
	wantCode(t, "before somebody decides", connect("pump-7"), refused)
	p.confirm("pump-7", object{"initialPermissions": []object{writes("p/#")}})
	wantCode(t, "with another password", p.dial(4).Connect(mqtttest.Connect{ClientID: "pump-7", Username: "pump-7", Password: "another one"}).ReasonCode, refused)
	cl := p.dial(4)
	cl.MustConnect(as("pump-7", "pump-7"))
	p.must(http.StatusNoContent, "POST", "/client-registry/lock", nil)
	wantCode(t, "locked again", connect("too-late"), refused)
	p.open(time.Minute)
	if got := p.waiting(); len(got) > 0 {
		t.Errorf("%v wait, want none", got)
	}
}

func TestEnrolGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	p := launch(t, secure...)
	p.open(time.Minute)
	k := p.authority()
	enrol := func() (out string, err error) {
		out, _, err = attempt(t, nil, "", "enroll", "--server", "https://"+p.urls["https"], "--ca-file", k.path("root.crt"),
			"--username", "gateway-7", "--dir", k.dir, "--timeout", "1s")
		return out, err
	}
	out, err := enrol()
	if err == nil || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("cut: %v, want to be told to run it again\n%s", err, out)
	}
	_, code, _ := strings.Cut(strings.TrimSpace(out), "Pairing code: ")
	csr, key := k.read("gateway-7.csr"), k.read("gateway-7.key")
	p.confirm("gateway-7", object{"pairingCode": code, "initialPermissions": []object{writes("a/#")}})
	if code == "" {
		t.Errorf("no pairing code in %q", out)
	}
	if out, err = enrol(); err != nil {
		t.Fatalf("run again: %v\n%s", err, out)
	}
	if k.read("gateway-7.csr") != csr || k.read("gateway-7.key") != key {
		t.Error("run again, it made another key or request")
	}
	if k.read("gateway-7.ca") != k.read("ca.crt") {
		t.Error("it kept another chain than everybody gets")
	}
	info, err := os.Stat(k.path("gateway-7.key"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the key's mode is %v, want 0600", mode)
	}
	cl := k.dial(p, 5, "gateway-7")
	cl.MustConnect(mqtttest.Connect{ClientID: "gateway-7"})
	wantCode(t, "publish", cl.Publish("a/1", "", 1, false)&^0x10, success)
}
