package hostile

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// Idle HTTP connections take no descriptor that MQTT or a health check needs.
func TestIdleHTTPConnectionsLeaveRoomForMQTTAndHealth(t *testing.T) {
	p := rig.SpawnWith(t, "ulimit -n 300", rig.UsedDir(t))
	p.User("alice", rig.Both("a/#"))
	for i := range 400 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprint("127.0.1.", 1+i%20))}}
		c, err := d.DialContext(t.Context(), "tcp", p.URLs["http"])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if i%50 == 49 {
			p.Connect(rig.As("alice", fmt.Sprint("c", i))).Ping()
		}
	}
	fresh := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := fresh.Get("http://" + p.URLs["http"] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %s", answer.Status)
	}
	if p.Log.Count("file descriptors") < 2 || p.Log.Count("limit=300") != 1 {
		t.Errorf("the log does not tell how many there are, and that they are few:\n%s", p.Log)
	}
}
