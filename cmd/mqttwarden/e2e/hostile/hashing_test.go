package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Wrong passwords of one address, over MQTT and HTTP, are more than can be hashed: a
// device of another address that signs in for the first time gets in all the same.
func TestFloodOfWrongPasswordsLeavesOthersTheirTurn(t *testing.T) {
	p := rig.Launch(t, "--hash-workers", "1", "--hash-queue", "8", "--hash-memory", "19456", "--hash-time", "2")
	p.User("victim")
	for n := range 5 {
		p.User(fmt.Sprint("honest", n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for n := range 24 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				wrongConnect(ctx, p.URLs["mqtt"], fmt.Sprint(n, " wrong ", i))
				_, _ = p.Send("POST", "/api/login", fmt.Sprintf(`{"username":"victim","password":"%d wrong %d"}`, n, i), "Content-Type", "application/json")
			}
		})
	}
	rig.Eventually(t, func() error {
		if p.Metric("mqttwarden_hash_refused_total") == 0 {
			return errors.New("the flood does not fill the queue")
		}
		return nil
	})
	for n := range 5 {
		name := fmt.Sprint("honest", n)
		c := mqtttest.New(t, dialFrom(t, "127.0.0.2", p.URLs["mqtt"]), 5)
		rig.WantCode(t, "CONNACK of "+name, c.Connect(rig.As(name, name)).ReasonCode, rig.Success)
		login := fmt.Sprintf(`{"username":%q,"password":%q}`, name, rig.SecretOf(name))
		if status := loginFrom(t, "127.0.0.2", p.URLs["http"], login); status != http.StatusOK {
			t.Errorf("login of %s: got %d, want 200", name, status)
		}
	}
	if p.Metric("mqttwarden_hash_displaced_total") == 0 {
		t.Error("mqttwarden_hash_displaced_total: got 0, want what the flood gave up")
	}
}

// wrongConnect is a CONNECT of the victim, whose answer is waited for.
func wrongConnect(ctx context.Context, addr, password string) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	pk := mqtttest.Connect{ClientID: "flood", Username: "victim", Password: password}.Packet(5)
	pk.ProtocolVersion = 5
	_, _ = conn.Write(mqtttest.Encode(pk))
	_, _ = conn.Read(make([]byte, 16))
}

// dialFrom connects from another address of this machine.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// loginFrom logs in from another address of this machine, and returns the status.
func loginFrom(t *testing.T, from, to, body string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dialFrom(t, from, to), nil },
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+to+"/api/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
