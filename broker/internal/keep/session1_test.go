package keep

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"mqttwarden/broker/message"
)

// Records as the first version of the program wrote them: a file of that time is
// read, and a delayed will in it is not lost.
const (
	session1 = "01027531ad037b22757365726e616d65223a22616c696365222c2270617373776f7264536574223a22323032362d30312d30325430333a30343a30352e3030303030303030365a222c226365727469666963617465223a226162222c22636f6d6d6f6e4e616d65223a22636e222c2274727573746564223a747275652c22616e63686f72223a226364222c22746f6b656e223a227431222c2265787069726573223a22323032372d30312d30325430333a30343a30355a222c2277696c6c223a7b22746f706963223a22612f77696c6c222c227061796c6f6164223a225a3239755a513d3d222c22716f73223a322c2272657461696e223a747275652c22666f726d6174223a312c22686173466f726d6174223a747275652c22657870697279223a392c22636f6e74656e7454797065223a22746578742f706c61696e222c22726573706f6e7365546f706963223a2272222c22636f7272656c6174696f6e44617461223a224151493d222c2275736572223a5b7b226b223a226b222c2276223a2276227d5d7d2c2277696c6c447565223a22323032362d30312d30325430333a30353a30352e3030303030303030375a227d0501d8048ac09b8fbde2ce972f6e8979fa"
	plain1   = "01027531147b22757365726e616d65223a22616c696365227d04000000c7b3dcad"
	sub1     = "010102ac02010152da1017"
	sent1    = "01030203612f31036f6e650101050370756280c49fd50cf8c49fd50c0a746578742f706c61696e017202010201013c01ac0201016b0176fe7418e7"
	rel1     = "010403b0fe44e6"
	rec1     = "0114078144"
	ret1     = "01036f6e650101050370756280c49fd50cf8c49fd50c0a746578742f706c61696e017202010201013c01ac0201016b01760794552b"
)

func TestAFileOfVersion1IsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	write(t, file, []record{
		{bucketSessions, []byte("gw"), session1},
		{bucketSubscriptions, key("gw", "a/#"), sub1},
		{bucketDeliveries, packetKey("gw", 7), sent1},
		{bucketDeliveries, packetKey("gw", 8), rel1},
		{bucketReceived, packetKey("gw", 9), rec1},
		{bucketRetained, []byte("r/1"), ret1},
	})
	m := message.Message{
		Topic: "a/1", Payload: []byte("one"), QoS: 1, Retain: true, Version: 5, Origin: "pub",
		Created: 1700000000, Expires: 1700000060, ExpiryInterval: 60,
		Properties: &message.Properties{
			ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte{1, 2}, HasFormat: true, Format: 1,
			SubscriptionIDs: []int{300}, User: []message.Property{{Key: "k", Value: "v"}},
		},
	}
	retained := m
	retained.Topic = "r/1"
	want := content{
		Sessions: []Stored{{
			Session: Session{
				ClientID: "gw", User: "u1", Version: 5, Clean: true, Expiry: 600, Until: time.Unix(1700000600, 5),
				Will: &message.Message{
					Topic: "a/will", Payload: []byte("gone"), QoS: 2, Retain: true, ExpiryInterval: 9,
					Properties: &message.Properties{
						ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte{1, 2}, HasFormat: true, Format: 1,
						User: []message.Property{{Key: "k", Value: "v"}},
					},
				},
				WillDue: time.Date(2026, 1, 2, 3, 5, 5, 7, time.UTC),
			},
			Subscriptions: []Subscription{{
				Filter: "a/#", QoS: 1, RetainHandling: 2, Identifier: 300, NoLocal: true, RetainAsPublished: true,
			}},
			Deliveries: []Delivery{{PacketID: 7, Order: 3, Stage: Sent, Message: m}, {PacketID: 8, Order: 4, Stage: Released}},
			Received:   []uint16{9},
		}},
		Retained: []message.Message{retained},
	}
	r := openFile(t, file)
	for round := range 2 { // read from the old file, and from its copy
		got := r.content()
		proof := string(got.Sessions[0].Proof) // not looked into, and so with the will still
		got.Sessions[0].Proof = nil
		if diff := cmp.Diff(want, got); diff != "" || len(proof) < 100 {
			t.Errorf("round %d: proof %s\n%s", round, proof, diff)
		}
		r = r.again()
	}
	if st := r.Stats(); st.Skipped != 0 {
		t.Errorf("%d records were skipped", st.Skipped)
	}
}

func TestASessionOfVersion1WithoutAWill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	write(t, file, []record{{bucketSessions, []byte("gw"), plain1}})
	want := Session{ClientID: "gw", User: "u1", Version: 4, Proof: []byte(`{"username":"alice"}`)}
	if diff := cmp.Diff([]Stored{{Session: want}}, openFile(t, file).content().Sessions); diff != "" {
		t.Error(diff)
	}
}

// record is a value under a key, in hex digits.
type record struct {
	bucket, key []byte
	value       string
}

// write makes a file with these records.
func write(tb testing.TB, file string, all []record) {
	tb.Helper()
	db, err := create(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, r := range all {
			value, err := hex.DecodeString(r.value)
			if err != nil {
				return err
			}
			if err := tx.Bucket(r.bucket).Put(r.key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}
