package servers

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestDeviceRegistersItselfAndGetsACertificate(t *testing.T) {
	t.Parallel()
	p := rig.Launch(t, rig.Secure...)
	k := p.Authority()
	csr := k.Request("gateway-7")

	locked := p.Register(http.StatusLocked, "gateway-7", csr)
	if after := locked.Header.Get("Retry-After"); after != "10" {
		t.Errorf("while locked Retry-After is %q, want 10", after)
	}
	p.Open(time.Minute)
	pending := p.Register(http.StatusAccepted, "gateway-7", csr)
	if after := pending.Header.Get("Retry-After"); after != "5" {
		t.Errorf("while pending Retry-After is %q, want 5", after)
	}
	code := pending.Field(p, "pairingCode")
	if len(code) != 6 {
		t.Errorf("the pairing code is %q, want six characters", code)
	}
	if again := p.Register(http.StatusAccepted, "gateway-7", csr).Field(p, "pairingCode"); again != code {
		t.Errorf("asked again, the pairing code is %q, want %q", again, code)
	}
	p.Confirm("gateway-7", rig.Object{
		"pairingCode": strings.ToLower(code), "mqttPublishPrefix": "site1/", "roles": []string{p.Role("gateways", rig.Writes("site1/#"))},
	})
	granted := p.Register(http.StatusCreated, "gateway-7", csr)
	if after := granted.Header.Get("Retry-After"); after != "" {
		t.Errorf("once granted Retry-After is %q, want none", after)
	}
	k.Write("gateway-7.crt", granted.Field(p, "certificate"))
	if granted.Field(p, "caCertificates") != k.Read("ca.crt") {
		t.Error("the device was given another chain than everybody gets")
	}

	root, log, err := rig.Attempt(t, nil, "", "ca", "export", "--root", "--data-dir", p.Dir)
	if err != nil {
		t.Fatalf("ca export: %v\n%s", err, log)
	}
	k.Write("exported.crt", root)
	k.OpenSSL("verify", "-CAfile", k.Path("exported.crt"), "-untrusted", k.Path("issuer.crt"), k.Path("gateway-7.crt"))

	ops := p.Connect(mqtttest.Connect{ClientID: "ops", Username: "admin", Password: rig.AdminPassword})
	ops.MustSubscribe("#", 1)
	publishWithCertificate(k, p, "gateway-7", "exported.crt", "state", "up")
	rig.Expect(t, ops, "site1/state", "up")
}

// publishWithCertificate publishes with the certificate of a device.
func publishWithCertificate(k rig.PKI, p *rig.Program, name, cafile, topic, payload string) {
	k.TB.Helper()
	host, port, err := net.SplitHostPort(p.URLs["mqtts"])
	if err != nil {
		k.TB.Fatal(err)
	}
	out, err := exec.CommandContext(k.TB.Context(), "mosquitto_pub", "-V", "5", "-h", host, "-p", port, "-i", name, // #nosec G204 -- ours
		"--cafile", k.Path(cafile), "--cert", k.Path(name+".crt"), "--key", k.Path(name+".key"),
		"-q", "1", "-t", topic, "-m", payload).CombinedOutput()
	if err != nil {
		k.TB.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
}
