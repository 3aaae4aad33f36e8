package policy

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestOperatorsListAndClearRetainedMessages(t *testing.T) {
	p := rig.Launch(t)
	p.UserWith("gw1", rig.Object{"mqttPublishPrefix": "site1/", "initialPermissions": []rig.Object{rig.Both("site1/#")}})
	gw := p.Connect(rig.As("gw1", "gateway"))
	for _, topic := range []string{"kiln/temp", "kiln/state", "door"} {
		rig.WantCode(t, "publish", gw.Publish(topic, "of "+topic, 1, true), rig.Success)
	}
	var got struct {
		Messages []struct {
			Topic, ClientID string
			QoS, Size       int
			Payload         []byte
		}
		Pagination struct{ TotalRows int }
	}
	p.Must(http.StatusOK, "GET", "/retained?payload=true&rowsPerPage=2", nil).Decode(t, &got)
	if len(got.Messages) != 2 || got.Pagination.TotalRows != 3 {
		t.Fatalf("got %+v", got)
	}
	if m := got.Messages[1]; m.Topic != "site1/kiln/state" || m.ClientID != "gateway" || m.QoS != 1 || m.Size != 13 || string(m.Payload) != "of kiln/state" {
		t.Errorf("got %+v", m)
	}

	p.Must(http.StatusNoContent, "DELETE", "/retained?topic=site1/door", nil)
	p.Must(http.StatusNotFound, "DELETE", "/retained?topic=site1/door", nil)
	var cleared struct{ Cleared int }
	p.Must(http.StatusOK, "DELETE", "/retained?filter=site1/kiln/%23", nil).Decode(t, &cleared)
	if cleared.Cleared != 2 {
		t.Errorf("%d were cleared, want 2", cleared.Cleared)
	}
	p.Reaches("mqttwarden_mqtt_retained_messages", 0)
	p.Reaches("mqttwarden_mqtt_retained_bytes", 0)
	if got, want := audited(p, "retained.clear"), `admin site1/door [{"field":"messages","before":"1"}], admin site1/kiln/# [{"field":"messages","before":"2"}]`; got != want {
		t.Errorf("audited: %s, want %s", got, want)
	}

	reader := p.Connect(rig.As("gw1", "reader"))
	reader.MustSubscribe("site1/#", 1)
	reader.Ping() // nothing comes before the answer
}

// audited returns what the audit log says of an action, the oldest first.
func audited(p *rig.Program, action string) string {
	p.TB.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.Dir, "mqttwarden.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		p.TB.Fatal(err)
	}
	defer db.Close()
	var all sql.NullString
	const ask = `SELECT group_concat(line, ', ') FROM (SELECT actor_name || ' ' || target_id || ' ' || fields AS line FROM audit WHERE action = ? ORDER BY id)`
	if err := db.QueryRowContext(p.TB.Context(), ask, action).Scan(&all); err != nil {
		p.TB.Fatal(err)
	}
	return all.String
}

func TestRetainedMessagesAreLimitedBehindThePrefix(t *testing.T) {
	p := rig.Launch(t, "--limits-retained", "2", "--limits-retained-bytes", "1024")
	p.UserWith("gw1", rig.Object{"mqttPublishPrefix": "site1/", "initialPermissions": []rig.Object{rig.Both("site1/#")}})
	p.User("plain", rig.Both("site1/#"))
	gw, plain := p.Connect(rig.As("gw1", "gateway")), p.Connect(rig.As("plain", "plain"))
	old := p.Dial(4)
	old.MustConnect(rig.As("gw1", "old"))

	rig.WantCode(t, "the first", gw.Publish("a", "1", 1, true), rig.Success)
	rig.WantCode(t, "the second", plain.Publish("site1/b", "1", 2, true), rig.Success)
	for qos := range byte(3) {
		want := byte(rig.QuotaExceeded)
		if qos == 0 {
			want = rig.Success
		}
		rig.WantCode(t, "one too many", gw.Publish("c", "1", qos, true), want)
		rig.WantCode(t, "one too many, without a prefix", plain.Publish("site1/c", "1", qos, true), want)
		rig.WantCode(t, "one too many by MQTT 3.1.1", old.Publish("c", "1", qos, true), rig.Success)
	}
	rig.WantCode(t, "without the right", plain.Publish("elsewhere", "1", 1, true), rig.NotAuthorized)
	rig.WantCode(t, "the first again, behind the prefix", gw.Publish("b", "2", 1, true), rig.Success)
	rig.WantCode(t, "not retained", gw.Publish("c", "1", 1, false), rig.Success)

	reader := p.Connect(rig.As("gw1", "reader"))
	reader.MustSubscribe("site1/#", 1)
	got := map[string]string{}
	for range 2 {
		m := reader.Message()
		got[m.TopicName] = string(m.Payload)
	}
	if got["site1/a"] != "1" || got["site1/b"] != "2" {
		t.Errorf("retained are %v", got)
	}
	will := rig.As("gw1", "dies")
	will.Will = &mqtttest.Will{Topic: "will", Payload: "gone", Retain: true}
	_ = p.Connect(will).Close()
	rig.Expect(t, reader, "site1/will", "gone")
	p.Reaches("mqttwarden_mqtt_retained_messages", 2)
	p.Reaches("mqttwarden_mqtt_retained_refused_total", 10)
}
