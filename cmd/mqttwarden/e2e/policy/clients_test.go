package policy

import (
	"net/http"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// An operator sees who is connected, ends a connection and frees a client ID.
func TestOperatorsSeeAndEndClients(t *testing.T) {
	p := rig.Launch(t)
	p.User("gw1", rig.Both("a/#"))
	stays := rig.As("gw1", "gateway/1")
	stays.Resume, stays.Expiry = true, 600
	c := p.Connect(stays)
	c.MustSubscribe("a/#", 1)

	var list struct {
		Clients []struct {
			ClientID, Username, State, Address, Listener string
			Received                                     struct{ Bytes uint64 }
		}
	}
	p.Must(http.StatusOK, "GET", "/clients?username=gw1", nil).Decode(t, &list)
	if len(list.Clients) != 1 {
		t.Fatalf("%d clients, want one", len(list.Clients))
	}
	if c := list.Clients[0]; c.ClientID != "gateway/1" || c.State != "connected" || c.Address != "127.0.0.1" || c.Listener != "mqtt" || c.Received.Bytes == 0 {
		t.Errorf("listed is %+v", c)
	}

	p.Must(http.StatusNoContent, "DELETE", "/clients?clientId=gateway/1&reason=maintenance", nil)
	pk := c.Expect(packets.Disconnect)
	if pk.ReasonCode != rig.Administrative || pk.Properties.ReasonString != "maintenance" {
		t.Errorf("the client was told %#x, %q", pk.ReasonCode, pk.Properties.ReasonString)
	}
	p.Must(http.StatusOK, "GET", "/clients?state=stored", nil).Decode(t, &list)
	if len(list.Clients) != 1 || list.Clients[0].ClientID != "gateway/1" {
		t.Errorf("stored are %+v", list.Clients)
	}
	p.Must(http.StatusNoContent, "DELETE", "/clients?clientId=gateway/1&session=true", nil)
	p.Must(http.StatusNotFound, "DELETE", "/clients?clientId=gateway/1&session=true", nil)
}
