package keep

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mqttwarden/broker/message"
)

// TestTheFileAgreesWithAModel records at random, commits and restarts at random,
// and compares the file with what a map would have.
func TestTheFileAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := open(t)
		model := make(map[string]Stored)
		retained := make(map[string]message.Message)
		client := rapid.SampledFrom([]string{"a", "ab", "b"})
		packet := rapid.Uint16Range(1, 3)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			r.db.NoSync = true // it is not the disk that is tried here
			id := client.Draw(rt, "client")
			st, there := model[id]
			switch rapid.IntRange(0, 12).Draw(rt, "what") {
			case 0:
				st.Session = Session{ClientID: id, User: rapid.SampledFrom([]string{"u", "v"}).Draw(rt, "user")}
				r.PutSession(st.Session)
				model[id] = st
			case 1:
				r.DropSession(id)
				delete(model, id)
			case 2, 3, 4:
				m := Delivery{PacketID: packet.Draw(rt, "id"), Stage: Sent}
				m.Order = uint64(m.PacketID)
				m.Payload = blob.Draw(rt, "payload")
				had := false
				var others []Delivery
				for _, o := range st.Deliveries {
					if o.PacketID == m.PacketID {
						had = true
					} else {
						others = append(others, o)
					}
				}
				r.PutDelivery(id, &m, !had)
				if there {
					st.Deliveries = others
					at := 0
					for at < len(others) && others[at].Order < m.Order {
						at++
					}
					st.Deliveries = append(append(append([]Delivery(nil), others[:at]...), m), others[at:]...)
					model[id] = st
				}
			case 5:
				gone := packet.Draw(rt, "id")
				r.DropDelivery(id, gone)
				var others []Delivery
				for _, o := range st.Deliveries {
					if o.PacketID != gone {
						others = append(others, o)
					}
				}
				if there {
					st.Deliveries = others
					model[id] = st
				}
			case 6:
				p := message.Message{Topic: id, Payload: blob.Draw(rt, "payload")}
				r.PutRetained(&p)
				retained[id] = p
			case 7:
				r.DropRetained(id)
				delete(retained, id)
			case 8:
				r = r.again()
			default:
				r.commit()
			}
		}
		r = r.again()
		got := r.content()
		if len(got.Sessions) != len(model) || len(got.Retained) != len(retained) {
			rt.Fatalf("%d sessions and %d retained messages, want %d and %d", len(got.Sessions), len(got.Retained), len(model), len(retained))
		}
		for _, s := range got.Sessions {
			if diff := cmp.Diff(model[s.ClientID], s); diff != "" {
				rt.Fatal(diff)
			}
		}
		for _, p := range got.Retained {
			if diff := cmp.Diff(retained[p.Topic], p); diff != "" {
				rt.Fatal(diff)
			}
		}
		_ = r.Close()
	})
}
