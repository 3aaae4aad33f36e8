package keep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"mqttwarden/broker/message"
)

func TestWhatWasRecordedIsThereAfterARestart(t *testing.T) {
	r := open(t)
	until := time.Unix(0, 1_900_000_000_123_456_789)
	want := content{
		Sessions: []Stored{{
			Session:       Session{ClientID: "c", User: "u", Proof: []byte("proof"), Version: 5, Clean: true, Expiry: 60, Until: until},
			Subscriptions: []Subscription{{Filter: "a/#", QoS: 1, Identifier: 7}, {Filter: "b", QoS: 2}},
			Deliveries: []Delivery{
				{PacketID: 9, Order: 1, Stage: Sent, Message: message.Message{Topic: "a/1", Payload: []byte("one"), QoS: 2}},
				{PacketID: 2, Order: 2, Stage: Queued, Message: message.Message{Topic: "a/2", Payload: []byte("two"), QoS: 1}},
				{PacketID: 1, Order: 3, Stage: Released},
			},
			Received: []uint16{4, 300},
		}},
		Retained: []message.Message{{Topic: "r", Payload: []byte("kept")}},
	}
	s := want.Sessions[0]
	r.PutSession(s.Session)
	for _, v := range s.Subscriptions {
		r.PutSubscription("c", v)
	}
	for _, m := range s.Deliveries {
		r.PutDelivery("c", &m, true)
	}
	for _, id := range s.Received {
		r.PutReceived("c", id, true)
	}
	r.PutRetained(&want.Retained[0])
	r = r.again()
	if diff := cmp.Diff(want, r.content()); diff != "" {
		t.Error(diff)
	}
	if ids := r.ofUser("u"); len(ids) != 1 || ids[0] != "c" {
		t.Errorf("sessions of u: %q", ids)
	}
}

func TestWhatWasDroppedIsGoneAfterARestart(t *testing.T) {
	r := open(t)
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutSubscription("c", Subscription{Filter: "a"})
	r.PutDelivery("c", &Delivery{PacketID: 1, Stage: Sent}, true)
	r.PutReceived("c", 1, true)
	r.PutRetained(&message.Message{Topic: "t"})
	r.commit()
	r.DropSubscription("c", "a")
	r.DropDelivery("c", 1)
	r.DropReceived("c", 1)
	r.DropRetained("t")
	want := content{Sessions: []Stored{{Session: Session{ClientID: "c", User: "u"}}}}
	r = r.again()
	if diff := cmp.Diff(want, r.content()); diff != "" {
		t.Error(diff)
	}
	r.DropSession("c")
	if diff := cmp.Diff(content{}, r.again().content()); diff != "" {
		t.Error(diff)
	}
}

func TestASessionThatBeginsAnewHasNothingOfTheOneBefore(t *testing.T) {
	for _, flushed := range []bool{true, false} {
		t.Run(fmt.Sprintf("flushed %v", flushed), func(t *testing.T) {
			r := open(t)
			r.PutSession(Session{ClientID: "c", User: "u"})
			r.PutSubscription("c", Subscription{Filter: "old"})
			r.PutDelivery("c", &Delivery{PacketID: 1, Stage: Sent}, true)
			if flushed {
				r.commit()
			}
			r.DropSession("c")
			r.PutDelivery("c", &Delivery{PacketID: 8, Stage: Sent}, true) // nobody's
			r.PutSession(Session{ClientID: "c", User: "v"})
			r.PutSubscription("c", Subscription{Filter: "new"})
			r.DropDelivery("c", 1)
			r = r.again()
			want := content{Sessions: []Stored{{Session: Session{ClientID: "c", User: "v"}, Subscriptions: []Subscription{{Filter: "new"}}}}}
			if diff := cmp.Diff(want, r.content()); diff != "" {
				t.Error(diff)
			}
			if ids := r.ofUser("u"); len(ids) > 0 {
				t.Errorf("%q are still sessions of u", ids)
			}
		})
	}
}

func TestNoTwoKeysRunIntoEachOther(t *testing.T) {
	r := open(t)
	r.PutSession(Session{ClientID: "a", User: "u:v"})
	r.PutSession(Session{ClientID: "a:b", User: "u"})
	r.PutSubscription("a", Subscription{Filter: "b:c/#", QoS: 1})
	r.PutSubscription("a:b", Subscription{Filter: "c/#", QoS: 2})
	r.commit()
	r.DropSession("a")
	want := content{Sessions: []Stored{{Session: Session{ClientID: "a:b", User: "u"}, Subscriptions: []Subscription{{Filter: "c/#", QoS: 2}}}}}
	if diff := cmp.Diff(want, r.again().content()); diff != "" {
		t.Error(diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(0, 6, 12), rapid.StringN(0, 6, 12)
		owner, name := a.Draw(t, "owner"), b.Draw(t, "name")
		gotOwner, gotName, ok := split(key(owner, name))
		if !ok || gotOwner != owner || gotName != name {
			t.Fatalf("%q, %q came back as %q, %q", owner, name, gotOwner, gotName)
		}
	})
}

func TestWhatIsTakenBackInTheSameBatchCostsNoWrite(t *testing.T) {
	r := open(t)
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.commit()
	before := r.Stats()
	for id := range uint16(1000) {
		r.PutDelivery("c", &Delivery{PacketID: id, Stage: Sent, Message: message.Message{Topic: "t", QoS: 2}}, true)
		r.PutDelivery("c", &Delivery{PacketID: id, Stage: Released}, false)
		r.DropDelivery("c", id)
		r.PutReceived("c", id, true)
		r.DropReceived("c", id)
		r.PutRetained(&message.Message{Topic: fmt.Sprint("t", id)})
		r.DropRetained(fmt.Sprint("t", id))
		r.PutSession(Session{ClientID: fmt.Sprint("d", id), User: "u"})
		r.PutSubscription(fmt.Sprint("d", id), Subscription{Filter: "f"})
		r.DropSession(fmt.Sprint("d", id))
	}
	r.commit()
	if after := r.Stats(); after != before {
		t.Errorf("counts went from %+v to %+v", before, after)
	}
}

func TestARecordThatReplacesOneOfTheFileDoesNotLetItComeBack(t *testing.T) {
	r := open(t)
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutDelivery("c", &Delivery{PacketID: 1, Stage: Sent, Message: message.Message{Topic: "old"}}, true)
	r.PutRetained(&message.Message{Topic: "t", Payload: []byte("old")})
	r.commit()
	r.DropDelivery("c", 1)
	r.PutDelivery("c", &Delivery{PacketID: 1, Stage: Sent, Message: message.Message{Topic: "new"}}, true)
	r.DropDelivery("c", 1)
	r.DropRetained("t")
	r.PutRetained(&message.Message{Topic: "t", Payload: []byte("new")})
	r.DropRetained("t")
	want := content{Sessions: []Stored{{Session: Session{ClientID: "c", User: "u"}}}}
	if diff := cmp.Diff(want, r.again().content()); diff != "" {
		t.Error(diff)
	}
}

func TestTheStoreCommitsByItselfOnceInAnInterval(t *testing.T) {
	file := t.TempDir() + "/sessions.db"
	synctest.Test(t, func(t *testing.T) {
		r := openWith(t, Config{File: file, Flush: 100 * time.Millisecond, MaxPending: 1 << 20})
		defer r.Close()
		for i := range 25 { // a record every 10 ms for 250 ms
			r.PutRetained(&message.Message{Topic: fmt.Sprint(i)})
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if st := r.Stats(); st.Commits != 2 || st.Pending == 0 {
			t.Errorf("after 250 ms: %+v, want two commits and something left", st)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if st := r.Stats(); st.Commits != 3 || st.Pending != 0 || st.Written != 25 {
			t.Errorf("later: %+v, want three commits of 25 records", st)
		}
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	r := openWith(t, Config{File: t.TempDir() + "/sessions.db", Flush: time.Hour, MaxPending: 10_000})
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutDelivery("c", &Delivery{PacketID: 1, Stage: Sent}, true)
	r.PutRetained(&message.Message{Topic: "t", Payload: []byte("old")})
	r.commit()
	large := message.Message{Topic: "t", Payload: make([]byte, 4000)}
	for id := range uint16(10) {
		r.PutDelivery("c", &Delivery{PacketID: 10 + id, Stage: Sent, Message: large}, true)
	}
	if st := r.Stats(); st.Pending > 10_000 || st.Dropped != 8 {
		t.Errorf("%+v: want eight dropped, and at most 10,000 waiting", st)
	}
	// What makes less of the file is never refused.
	r.DropDelivery("c", 1)
	r.PutRetained(&large)
	r.commit()
	got := r.content()
	if len(got.Retained) != 0 {
		t.Error("a retained message that did not fit left the one before it")
	}
	if n := len(got.Sessions[0].Deliveries); n != 2 {
		t.Errorf("%d messages, want the two that fitted", n)
	}
}

func TestADiskThatFailsIsToldOfOnceAndWrittenToAgain(t *testing.T) {
	r := open(t)
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutDelivery("c", &Delivery{PacketID: 1, Order: 1, Stage: Sent}, true)
	r.PutRetained(&message.Message{Topic: "t"})
	r.commit()
	good := r.db
	broken, err := bbolt.Open(t.TempDir()+"/other", 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = broken.Close()
	r.db = broken
	r.DropDelivery("c", 1)
	r.PutDelivery("c", &Delivery{PacketID: 2, Order: 2, Stage: Sent}, true)
	for range 3 {
		if err := r.flush(t.Context()); err == nil {
			t.Fatal("a commit to a closed file succeeded")
		}
		r.DropDelivery("c", 2)
		r.PutDelivery("c", &Delivery{PacketID: 3, Order: 3, Stage: Sent}, true)
	}
	if n := r.log.Count("can't be written"); n != 1 {
		t.Errorf("%d lines in the log, want one", n)
	}
	if st := r.Stats(); st.Failures != 3 || !st.Failing {
		t.Errorf("%+v: want three failures", st)
	}
	r.db = good
	r.commit()
	if st := r.Stats(); st.Failing || st.Pending != 0 || r.log.Count("written again") != 1 {
		t.Errorf("%+v: want it to be over", st)
	}
	want := content{
		Sessions: []Stored{{Session: Session{ClientID: "c", User: "u"}, Deliveries: []Delivery{{PacketID: 3, Order: 3, Stage: Sent}}}},
		Retained: []message.Message{{Topic: "t"}},
	}
	if diff := cmp.Diff(want, r.again().content()); diff != "" {
		t.Error(diff)
	}
}

func TestManyRecordWhileItCommits(t *testing.T) {
	r := openWith(t, Config{File: t.TempDir() + "/sessions.db", Flush: time.Millisecond, MaxPending: 1 << 24})
	r.db.NoSync = true
	var all sync.WaitGroup
	for w := range 4 {
		id := fmt.Sprint("client-", w)
		r.PutSession(Session{ClientID: id, User: "u"})
		all.Go(func() {
			for i := range uint16(2000) {
				r.PutDelivery(id, &Delivery{PacketID: i, Order: uint64(i), Stage: Sent}, true)
				if i%10 > 0 {
					r.DropDelivery(id, i)
				}
				if i%100 == 0 {
					_ = r.flush(t.Context())
					_ = r.Stats()
				}
			}
		})
	}
	all.Wait()
	for _, s := range r.again().content().Sessions {
		if len(s.Deliveries) != 200 {
			t.Errorf("%s has %d messages, want 200", s.ClientID, len(s.Deliveries))
		}
	}
}

func TestAClosedStoreRecordsNothing(t *testing.T) {
	r := open(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutRetained(&message.Message{Topic: "t"})
	if err := r.flush(context.Background()); !errors.Is(err, errClosed) {
		t.Errorf("Flush: %v, want errClosed", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var none *Store
	none.PutSession(Session{ClientID: "c"})
	none.PutDelivery("c", &Delivery{}, true)
	none.PutRetained(&message.Message{Topic: "t"})
	none.DropSession("c")
	none.DropRetained("t")
	none.DropDelivery("c", 1)
	if none.Close() != nil || none.Stats() != (Stats{}) {
		t.Error("a store that is off says something")
	}
}

func TestNamesThatFitIntoNoKeyAreNotKept(t *testing.T) {
	r := open(t)
	long := string(make([]byte, 40_000))
	r.PutSession(Session{ClientID: long, User: "u"})
	r.PutRetained(&message.Message{Topic: long})
	r.PutSession(Session{ClientID: "c", User: "u"})
	r.PutSubscription("c", Subscription{Filter: long})
	r.PutSubscription("c", Subscription{Filter: long[:longest-1]})
	r.commit()
	if got := r.content(); len(got.Sessions) != 1 || len(got.Sessions[0].Subscriptions) != 1 || len(got.Retained) != 0 {
		t.Error("something was kept that can't be found again")
	}
}
