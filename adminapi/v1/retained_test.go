package v1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/apitest"
	v1 "mqttwarden/adminapi/v1"
)

func TestListRetained(t *testing.T) {
	api := apitest.New(t)
	at := time.Date(2026, 2, 13, 19, 40, 21, 0, time.UTC)
	large := strings.Repeat("x", 20_000)
	api.Retained.Messages = []v1.RetainedMessage{
		{Topic: "$SYS/broker/version", Payload: []byte("1"), Created: at},
		{Topic: "a/1", Payload: []byte("on"), QoS: 1, Created: at, Expires: at.Add(time.Hour), ClientID: "gw", ContentType: "text/plain"},
		{Topic: "a/2", Payload: []byte(large), Created: at, ClientID: "gw"},
		{Topic: "b", Payload: []byte("off"), Created: at, ClientID: "gw"},
	}
	var got any
	api.Must(http.StatusOK, "GET", "/api/retained?filter=a/1&payload=true", "").Decode(t, &got)
	want := map[string]any{
		"messages": []any{map[string]any{
			"topic": "a/1", "size": 2., "qos": 1., "createdAt": "2026-02-13T19:40:21.000Z", "expiresAt": "2026-02-13T20:40:21.000Z",
			"clientId": "gw", "contentType": "text/plain", "payload": "b24=",
		}},
		"pagination": map[string]any{"pageNumber": 1., "rowsPerPage": 100., "totalRows": 1., "totalPages": 1.},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	type page struct {
		Messages []struct {
			Topic     string
			Size      int
			Payload   []byte
			ExpiresAt *string
		}
		Pagination struct{ TotalRows, TotalPages int }
	}
	list := func(query string) (p page) {
		t.Helper()
		api.Must(http.StatusOK, "GET", "/api/retained?"+query, "").DecodeLoosely(t, &p)
		return p
	}
	for _, tt := range []struct {
		name, query, want string
		total, pages      int
	}{
		{"all but the broker's own", "", "a/1 a/2 b", 3, 1},
		{"the broker's own", "filter=" + url.QueryEscape("$SYS/#"), "$SYS/broker/version", 1, 1},
		{"a filter", "filter=a/%2B", "a/1 a/2", 2, 1},
		{"a page", "rowsPerPage=2&pageNumber=2", "b", 3, 2},
		{"a page behind the last", "pageNumber=1000000000", "", 3, 1},
		{"none", "filter=z", "", 0, 0},
	} {
		p := list(tt.query)
		var topics []string
		for _, m := range p.Messages {
			topics = append(topics, m.Topic)
			if m.Payload != nil {
				t.Errorf("%s: a payload that was not asked for", tt.name)
			}
		}
		if got := strings.Join(topics, " "); got != tt.want || p.Pagination.TotalRows != tt.total || p.Pagination.TotalPages != tt.pages {
			t.Errorf("%s: got %s, %+v", tt.name, got, p.Pagination)
		}
	}
	m := list("filter=a/2&payload=true").Messages[0]
	if m.Size != 20_000 || string(m.Payload) != large[:16<<10] || m.ExpiresAt != nil {
		t.Errorf("of a large payload came %d bytes; size %d, expires %v", len(m.Payload), m.Size, m.ExpiresAt)
	}
	for _, bad := range []string{
		"filter=a/%23/b", "filter=a%2B", "filter=$share/g/a", "filter=$SHARE/g/a", "filter=a%00b",
		"pageNumber=0", "rowsPerPage=101", "payload=maybe",
	} {
		apitest.Message(t, api.Do("GET", "/api/retained?"+bad, ""), http.StatusBadRequest)
	}
}

func TestClearRetained(t *testing.T) {
	api := apitest.New(t)
	api.Retained.Messages = []v1.RetainedMessage{{Topic: "a/1"}, {Topic: "a/2"}, {Topic: "b"}}
	a := api.Must(http.StatusNoContent, "DELETE", "/api/retained?topic=a/1", "")
	if media, typed := a.Header["Content-Type"]; a.Body != "" || typed {
		t.Errorf("body is %q of the type %q, want none", a.Body, media)
	}
	for query, want := range map[string]int{"filter=a/%23": 2, "filter=%23": 3, "filter=b": 1, "filter=z": 0} {
		var got struct{ Cleared int }
		api.Must(http.StatusOK, "DELETE", "/api/retained?"+query, "").Decode(t, &got)
		if got.Cleared != want {
			t.Errorf("%s: %d were cleared, want %d", query, got.Cleared, want)
		}
	}
	if got := apitest.Message(t, api.Do("DELETE", "/api/retained?topic=z", ""), http.StatusNotFound); !strings.HasPrefix(got, "topic: ") {
		t.Errorf("message is %q", got)
	}
	api.Retained.Cleared = nil
	for _, bad := range []string{
		"", "topic=", "filter=", "topic=&filter=", "topic=a/1&filter=a/1", "topic=a/1&filter=", "topic=a/1&topic=b",
		"filter=a&filter=b", "filter=a/%23/b", "filter=$share/g/%23",
	} {
		apitest.Message(t, api.Do("DELETE", "/api/retained?"+bad, ""), http.StatusBadRequest)
	}
	if api.Retained.Cleared != nil {
		t.Errorf("cleared was %q", api.Retained.Cleared)
	}
	api.Must(http.StatusOK, "DELETE", "/api/retained?filter=b", "")
	if got := fmt.Sprint(api.Retained.Cleared); got != "[b]" {
		t.Errorf("the broker was told %s", got)
	}
}

func TestClearingRetainedMessagesIsAudited(t *testing.T) {
	api := apitest.New(t)
	api.Retained.Messages = []v1.RetainedMessage{{Topic: "a/1"}, {Topic: "a/2"}}
	api.Must(http.StatusNoContent, "DELETE", "/api/retained?topic=a/1", "")
	api.Must(http.StatusOK, "DELETE", "/api/retained?filter=a/%23", "")
	api.Must(http.StatusOK, "DELETE", "/api/retained?filter=z", "")
	api.Must(http.StatusNotFound, "DELETE", "/api/retained?topic=z", "")
	entries, err := api.Store.Audit(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Action == "retained.clear" {
			got = append(got, fmt.Sprint(e.Actor.Name, " ", e.Target.ID, " ", e.Fields))
		}
	}
	if want := []string{"admin a/# [{messages 2 }]", "admin a/1 [{messages 1 }]"}; !slices.Equal(got, want) {
		t.Errorf("audited, the newest first: %q, want %q", got, want)
	}
}

// The permission on the path is no way round the permissions over MQTT.
func TestRetainedMessagesAreNoSideDoor(t *testing.T) {
	api := apitest.New(t)
	for _, topic := range []string{"a/1", "a/secret", "b/1", "ops/x", "site/a/1"} {
		api.Retained.Messages = append(api.Retained.Messages, v1.RetainedMessage{Topic: topic})
	}
	api.Must(http.StatusCreated, "POST", "/api/users", `{"username": "sited", "identityProvider": "local", "password": "password-of-sited",
		"mqttPublishPrefix": "site/", "initialPermissions": [
		{"resource": "/api/retained", "operation": "readWrite", "context": "http"}, {"resource": "#", "operation": "write", "context": "mqtt"}]}`)
	for _, tt := range []struct {
		name, token, sees, mayNot string
		clears                    int
	}{
		{"without a permission over MQTT", api.Token("blind", "readWrite /api/retained"), "", "a/1", 0},
		{"a reader", api.Token("reader", "readWrite /api/retained", "mqtt read a/#", "mqtt read ${username}/#"), "a/1 a/secret", "a/1", 0},
		{
			"an operator", api.Token("ops", "readWrite /api/retained", "mqtt readWrite ${username}/#", "mqtt write a/#", "mqtt read b/#"),
			"b/1 ops/x", "b/1", 3,
		},
		{"one with a publish prefix", api.Login("sited", "password-of-sited"), "", "a/1", 1},
	} {
		var page struct{ Messages []struct{ Topic string } }
		api.As(tt.token, "GET", "/api/retained", "").DecodeLoosely(t, &page)
		var topics []string
		for _, m := range page.Messages {
			topics = append(topics, m.Topic)
		}
		if got := strings.Join(topics, " "); got != tt.sees {
			t.Errorf("%s sees %q, want %q", tt.name, got, tt.sees)
		}
		for _, topic := range []string{tt.mayNot, "there/is/none"} { // nobody learns which
			apitest.Message(t, api.As(tt.token, "DELETE", "/api/retained?topic="+topic, ""), http.StatusForbidden)
		}
		var got struct{ Cleared int }
		api.As(tt.token, "DELETE", "/api/retained?filter=%23", "").Decode(t, &got)
		if got.Cleared != tt.clears {
			t.Errorf("%s clears %d, want %d", tt.name, got.Cleared, tt.clears)
		}
	}
}

func TestRightsOnRetained(t *testing.T) {
	api := apitest.New(t)
	api.Retained.Messages = []v1.RetainedMessage{{Topic: "a"}}
	reader, writer := api.Token("reader", "read /api/retained", "mqtt read #"), api.Token("writer", "write /api/retained", "mqtt write #")
	mqtt := api.Token("mqtt-reader", "mqtt readWrite #")
	for _, tt := range []struct {
		name, token, method string
		want                int
	}{
		{"a reader lists", reader, "GET", http.StatusOK},
		{"a reader does not clear", reader, "DELETE", http.StatusForbidden},
		{"a writer clears", writer, "DELETE", http.StatusNoContent},
		{"a writer does not list", writer, "GET", http.StatusForbidden},
		{"a right to topics is none to list", mqtt, "GET", http.StatusForbidden},
		{"a right to topics is none to clear", mqtt, "DELETE", http.StatusForbidden},
	} {
		query := ""
		if tt.method == "DELETE" {
			query = "?topic=a"
		}
		if a := api.As(tt.token, tt.method, "/api/retained"+query, ""); a.Status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.Status, a.Body, tt.want)
		}
	}
}

func TestNoRetainedMessageIsAnEmptyList(t *testing.T) {
	api := apitest.New(t)
	var got struct{ Messages json.RawMessage }
	api.Must(http.StatusOK, "GET", "/api/retained", "").DecodeLoosely(t, &got)
	if string(got.Messages) != "[]" {
		t.Errorf("got %s", got.Messages)
	}
}
