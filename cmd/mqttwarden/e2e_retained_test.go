package main

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"mqttwarden/broker/mqtttest"
)

func TestOperatorsListAndClearRetainedMessages(t *testing.T) {
	p := launch(t)
	p.userWith("gw1", object{"mqttPublishPrefix": "site1/", "initialPermissions": []object{both("site1/#")}})
	gw := p.connect(as("gw1", "gateway"))
	for _, topic := range []string{"kiln/temp", "kiln/state", "door"} {
		wantCode(t, "publish", gw.Publish(topic, "of "+topic, 1, true), success)
	}
	var got struct {
		Messages []struct {
			Topic, ClientID string
			QoS, Size       int
			Payload         []byte
		}
		Pagination struct{ TotalRows int }
	}
	p.must(http.StatusOK, "GET", "/retained?payload=true&rowsPerPage=2", nil).decode(t, &got)
	if len(got.Messages) != 2 || got.Pagination.TotalRows != 3 {
		t.Fatalf("got %+v", got)
	}
	if m := got.Messages[1]; m.Topic != "site1/kiln/state" || m.ClientID != "gateway" || m.QoS != 1 || m.Size != 13 || string(m.Payload) != "of kiln/state" {
		t.Errorf("got %+v", m)
	}

	p.must(http.StatusNoContent, "DELETE", "/retained?topic=site1/door", nil)
	p.must(http.StatusNotFound, "DELETE", "/retained?topic=site1/door", nil)
	var cleared struct{ Cleared int }
	p.must(http.StatusOK, "DELETE", "/retained?filter=site1/kiln/%23", nil).decode(t, &cleared)
	if cleared.Cleared != 2 {
		t.Errorf("%d were cleared, want 2", cleared.Cleared)
	}
	p.reaches("mqttwarden_mqtt_retained_messages", 0)
	p.reaches("mqttwarden_mqtt_retained_bytes", 0)
	if got, want := p.audited("retained.clear"), "admin site1/door 1 messages, admin site1/kiln/# 2 messages"; got != want {
		t.Errorf("audited: %s, want %s", got, want)
	}

	reader := p.connect(as("gw1", "reader"))
	reader.MustSubscribe("site1/#", 1)
	reader.Ping() // nothing comes before the answer
}

// audited returns what the audit log says of an action, the oldest first.
func (p *program) audited(action string) string {
	p.tb.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.dir, "mqttwarden.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		p.tb.Fatal(err)
	}
	defer db.Close()
	var all sql.NullString
	const ask = `SELECT group_concat(line, ', ') FROM (SELECT actor || ' ' || target || ' ' || detail AS line FROM audit WHERE action = ? ORDER BY id)`
	if err := db.QueryRowContext(p.tb.Context(), ask, action).Scan(&all); err != nil {
		p.tb.Fatal(err)
	}
	return all.String
}

func TestRetainedMessagesAreLimitedBehindThePrefix(t *testing.T) {
	p := launch(t, "--limits-retained", "2", "--limits-retained-bytes", "1024")
	p.userWith("gw1", object{"mqttPublishPrefix": "site1/", "initialPermissions": []object{both("site1/#")}})
	p.user("plain", both("site1/#"))
	gw, plain := p.connect(as("gw1", "gateway")), p.connect(as("plain", "plain"))
	old := p.dial(4)
	old.MustConnect(as("gw1", "old"))

	wantCode(t, "the first", gw.Publish("a", "1", 1, true), success)
	wantCode(t, "the second", plain.Publish("site1/b", "1", 2, true), success)
	for qos := range byte(3) {
		want := byte(quotaExceeded)
		if qos == 0 {
			want = success
		}
		wantCode(t, "one too many", gw.Publish("c", "1", qos, true), want)
		wantCode(t, "one too many, without a prefix", plain.Publish("site1/c", "1", qos, true), want)
		wantCode(t, "one too many by MQTT 3.1.1", old.Publish("c", "1", qos, true), success)
	}
	wantCode(t, "without the right", plain.Publish("elsewhere", "1", 1, true), notAuthorized)
	wantCode(t, "the first again, behind the prefix", gw.Publish("b", "2", 1, true), success)
	wantCode(t, "not retained", gw.Publish("c", "1", 1, false), success)

	reader := p.connect(as("gw1", "reader"))
	reader.MustSubscribe("site1/#", 1)
	got := map[string]string{}
	for range 2 {
		m := reader.Message()
		got[m.TopicName] = string(m.Payload)
	}
	if got["site1/a"] != "1" || got["site1/b"] != "2" {
		t.Errorf("retained are %v", got)
	}
	will := as("gw1", "dies")
	will.Will = &mqtttest.Will{Topic: "will", Payload: "gone", Retain: true}
	_ = p.connect(will).Close()
	expect(t, reader, "site1/will", "gone")
	p.reaches("mqttwarden_mqtt_retained_messages", 2)
	p.reaches("mqttwarden_mqtt_retained_refused_total", 10)
}
