package v1_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

func TestListClients(t *testing.T) {
	api := apitest.New(t)
	at := time.Date(2026, 2, 13, 19, 40, 21, 0, time.UTC)
	api.Clients.All = []v1.Client{
		{
			ID: "gw", User: "u1", Username: "gateway1", Connected: true, Protocol: 5, Address: netip.MustParseAddr("192.0.2.7"),
			Listener: "mqtts", KeepAlive: time.Minute, Persists: true, Since: at, Waiting: 3,
			Received: v1.Traffic{Messages: 1, Bytes: 20}, Sent: v1.Traffic{Messages: 2, Bytes: 30},
		},
		{ID: "sensors/7", User: "u2", Username: "sensor", Protocol: 4, Persists: true, Left: at, Expires: at.Add(time.Hour)},
	}
	var got any
	api.Must(http.StatusOK, "GET", "/api/clients", "").Decode(t, &got)
	none := map[string]any{"messages": 0., "bytes": 0.}
	want := map[string]any{
		"clients": []any{
			map[string]any{
				"clientId": "gw", "userId": "u1", "username": "gateway1", "node": "local", "state": "connected", "protocol": 5.,
				"address": "192.0.2.7", "listener": "mqtts", "keepAlive": 60., "persistent": true, "connectedAt": "2026-02-13T19:40:21.000Z",
				"disconnectedAt": nil, "expiresAt": nil, "waiting": 3.,
				"received": map[string]any{"messages": 1., "bytes": 20.}, "sent": map[string]any{"messages": 2., "bytes": 30.},
			},
			map[string]any{
				"clientId": "sensors/7", "userId": "u2", "username": "sensor", "node": "local", "state": "stored", "protocol": 4.,
				"keepAlive": 0., "persistent": true, "connectedAt": nil,
				"disconnectedAt": "2026-02-13T19:40:21.000Z", "expiresAt": "2026-02-13T20:40:21.000Z", "waiting": 0.,
				"received": none, "sent": none,
			},
		},
		"pagination": map[string]any{"pageNumber": 1., "rowsPerPage": 100., "totalRows": 2., "totalPages": 1.},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	api.Must(http.StatusOK, "GET", "/api/clients?clientId=gw&username=gateway1&address=::ffff:192.0.2.7&protocol=5&state=connected&node=local", "")
	asked := v1.ClientQuery{ID: "gw", Username: "gateway1", Address: netip.MustParseAddr("192.0.2.7"), Protocol: 5, State: "connected"}
	if api.Clients.Asked != asked {
		t.Errorf("the broker was asked for %+v, want %+v", api.Clients.Asked, asked)
	}
	if other := api.Must(http.StatusOK, "GET", "/api/clients?node=elsewhere", ""); !strings.Contains(other.Body, `"clients":[]`) {
		t.Errorf("another node has %s", other.Body)
	}
	for _, bad := range []string{"address=here", "protocol=6", "state=asleep", "rowsPerPage=101", "user=x"} {
		apitest.Message(t, api.Do("GET", "/api/clients?"+bad, ""), http.StatusBadRequest)
	}
}

func TestGetClient(t *testing.T) {
	api := apitest.New(t)
	api.Clients.All = []v1.Client{{ID: "gw", Username: "gateway1", Connected: true, Protocol: 5}}
	api.Clients.Subscriptions = []v1.Subscription{{Filter: "a/#", QoS: 1, NoLocal: true}}
	var got struct {
		ClientID      string `json:"clientId"`
		Subscriptions []map[string]any
	}
	api.Must(http.StatusOK, "GET", "/api/clients/gw", "").DecodeLoosely(t, &got)
	want := []map[string]any{{"filter": "a/#", "qos": 1., "noLocal": true, "retainAsPublished": false}}
	if diff := cmp.Diff(want, got.Subscriptions); diff != "" || got.ClientID != "gw" {
		t.Errorf("got %s:\n%s", got.ClientID, diff)
	}
	if got := apitest.Message(t, api.Do("GET", "/api/clients/nobody", ""), http.StatusNotFound); !strings.HasPrefix(got, "clientId: ") {
		t.Errorf("message is %q", got)
	}
}

func TestEndingClientsIsAudited(t *testing.T) {
	api := apitest.New(t)
	user := registry.UserID(api.User("gateway1"))
	api.Clients.All = []v1.Client{{ID: "gw", User: user}, {ID: "sensors/7", User: user}}
	api.Must(http.StatusNoContent, "DELETE", "/api/clients/gw?reason=moved", "")
	api.Must(http.StatusNoContent, "DELETE", "/api/clients?clientId=sensors/7&session=true", "")
	api.Must(http.StatusNotFound, "DELETE", "/api/clients/nobody", "")
	for _, bad := range []string{"/gw?reason=" + strings.Repeat("x", 97), "/gw?reason=a%00b", "/gw?reason=a%0Ab", "/gw?session=perhaps", "", "?clientId="} {
		apitest.Message(t, api.Do("DELETE", "/api/clients"+bad, ""), http.StatusBadRequest)
	}
	want := []apitest.EndedClient{{ID: "gw", User: user, Reason: "moved"}, {ID: "sensors/7", User: user, Drop: true}}
	if !slices.Equal(api.Clients.Ended, want) {
		t.Errorf("the broker was told %+v, want %+v", api.Clients.Ended, want)
	}
	entries, err := api.Store.Audit(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Target.Kind == registry.TargetClient {
			got = append(got, fmt.Sprint(e.Actor.Name, " ", e.Action, " ", e.Target.ID, " of ", e.Target.Name, " ", e.Fields))
		}
	}
	log := []string{"admin client.session.drop sensors/7 of gateway1 []", "admin client.disconnect gw of gateway1 [{reason  \"moved\"}]"}
	if !slices.Equal(got, log) {
		t.Errorf("audited, the newest first: %q, want %q", got, log)
	}
}

// Whoever may end clients ends none of a user who may more.
func TestEndingClientsIsNoLadder(t *testing.T) {
	api := apitest.New(t)
	admin, device := registry.UserID(api.User("other", "http readWrite /#", "mqtt readWrite #")), registry.UserID(api.User("device", "mqtt write a/b"))
	api.Clients.All = []v1.Client{{ID: "of the admin", User: admin}, {ID: "of the device", User: device}}
	helper := api.Token("helper", "http readWrite /api/clients/#", "mqtt write a/#")
	apitest.Message(t, api.As(helper, "DELETE", "/api/clients/of%20the%20admin", ""), http.StatusForbidden)
	if got := api.As(helper, "DELETE", "/api/clients/of%20the%20device", ""); got.Status != http.StatusNoContent {
		t.Errorf("a client of a user with less rights: got %d %s", got.Status, got.Body)
	}
	if len(api.Clients.Ended) != 1 || api.Clients.Ended[0].User != device {
		t.Errorf("ended were %+v", api.Clients.Ended)
	}
}
