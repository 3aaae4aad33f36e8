package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// shelf stands in for the broker.
type shelf struct {
	messages []v1.RetainedMessage
	cleared  []string // who cleared what
}

func (s *shelf) Retained(filter string, offset, limit int) ([]v1.RetainedMessage, int) {
	var found []v1.RetainedMessage
	for _, m := range s.messages {
		if acl.Matches(filter, m.Topic) {
			found = append(found, m)
		}
	}
	total := len(found)
	found = found[min(offset, total):]
	return found[:min(limit, len(found))], total
}

func (s *shelf) Clear(by registry.Caller, topic string) bool {
	return s.ClearAll(by, topic) > 0
}

func (s *shelf) ClearAll(by registry.Caller, filter string) int {
	s.cleared = append(s.cleared, by.Username+" "+filter)
	_, total := s.Retained(filter, 0, 0)
	return total
}

func TestListRetained(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Date(2026, 2, 13, 19, 40, 21, 0, time.UTC)
	large := strings.Repeat("x", 20_000)
	w.retained.messages = []v1.RetainedMessage{
		{Topic: "$SYS/broker/version", Payload: []byte("1"), Created: at},
		{Topic: "a/1", Payload: []byte("on"), QoS: 1, Created: at, Expires: at.Add(time.Hour), ClientID: "gw", ContentType: "text/plain"},
		{Topic: "a/2", Payload: []byte(large), Created: at, ClientID: "gw"},
		{Topic: "b", Payload: []byte("off"), Created: at, ClientID: "gw"},
	}
	var got any
	w.must(http.StatusOK, "GET", "/api/retained?filter=a/1&payload=true", "").decode(t, &got)
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
		w.must(http.StatusOK, "GET", "/api/retained?"+query, "").decodeLoosely(t, &p)
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
		message(t, w.do("GET", "/api/retained?"+bad, ""), http.StatusBadRequest)
	}
}

func TestClearRetained(t *testing.T) {
	w := newWorld(t, nil)
	w.retained.messages = []v1.RetainedMessage{{Topic: "a/1"}, {Topic: "a/2"}, {Topic: "b"}}
	if a := w.must(http.StatusNoContent, "DELETE", "/api/retained?topic=a/1", ""); a.body != "" {
		t.Errorf("body is %q, want none", a.body)
	}
	for query, want := range map[string]int{"filter=a/%23": 2, "filter=%23": 3, "filter=b": 1, "filter=z": 0} {
		var got struct{ Cleared int }
		w.must(http.StatusOK, "DELETE", "/api/retained?"+query, "").decode(t, &got)
		if got.Cleared != want {
			t.Errorf("%s: %d were cleared, want %d", query, got.Cleared, want)
		}
	}
	if got := message(t, w.do("DELETE", "/api/retained?topic=z", ""), http.StatusNotFound); !strings.HasPrefix(got, "topic: ") {
		t.Errorf("message is %q", got)
	}
	w.retained.cleared = nil
	for _, bad := range []string{
		"", "topic=", "filter=", "topic=&filter=", "topic=a/1&filter=a/1", "topic=a/1&filter=", "topic=a/1&topic=b",
		"filter=a&filter=b", "filter=a/%23/b", "filter=$share/g/%23",
	} {
		message(t, w.do("DELETE", "/api/retained?"+bad, ""), http.StatusBadRequest)
	}
	if w.retained.cleared != nil {
		t.Errorf("cleared was %q", w.retained.cleared)
	}
	w.must(http.StatusOK, "DELETE", "/api/retained?filter=b", "")
	if got := fmt.Sprint(w.retained.cleared); got != "[admin b]" {
		t.Errorf("the broker was told %s", got)
	}
}

func TestRightsOnRetained(t *testing.T) {
	w := newWorld(t, nil)
	w.retained.messages = []v1.RetainedMessage{{Topic: "a"}}
	reader, writer := w.token("reader", "read /api/retained"), w.token("writer", "write /api/retained")
	mqtt := w.token("mqtt-reader", "mqtt readWrite #")
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
		if a := w.as(tt.token, tt.method, "/api/retained"+query, ""); a.status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, a.status, a.body, tt.want)
		}
	}
}

func TestNoRetainedMessageIsAnEmptyList(t *testing.T) {
	w := newWorld(t, nil)
	var got struct{ Messages json.RawMessage }
	w.must(http.StatusOK, "GET", "/api/retained", "").decodeLoosely(t, &got)
	if string(got.Messages) != "[]" {
		t.Errorf("got %s", got.Messages)
	}
}
