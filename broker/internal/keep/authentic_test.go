package keep

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"mqttwarden/broker/message"
	"mqttwarden/registry/logtest"
)

var keyA, keyB = []byte("the key of a store"), []byte("another one")

// keyed makes a file with two sessions and a retained message, and closes it.
func keyed(t *testing.T, cfg Config) string {
	t.Helper()
	cfg.File, cfg.Flush, cfg.MaxPending = filepath.Join(t.TempDir(), "sessions.db"), time.Hour, 1<<20
	r := openWith(t, cfg)
	for _, user := range []string{"ann", "bob"} {
		id := user + "-1"
		r.PutSession(Session{ClientID: id, User: user})
		r.PutSubscription(id, Subscription{Filter: user + "/#"})
		r.PutDelivery(id, &Delivery{PacketID: 1, Stage: Queued, Message: message.Message{Topic: user + "/x", QoS: 1}}, true)
		r.PutReceived(id, 9, true)
	}
	r.PutRetained(&message.Message{Topic: "r", Payload: []byte("kept")})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg.File
}

// alter changes the records of a file.
func alter(t *testing.T, file string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
}

// found returns what a file has, in short.
func (r *rig) found() (all []string) {
	c := r.content()
	for _, s := range c.Sessions {
		all = append(all, fmt.Sprintf("%s of %s: %d %d %d", s.ClientID, s.User, len(s.Subscriptions), len(s.Deliveries), len(s.Received)))
	}
	for _, m := range c.Retained {
		all = append(all, m.Topic+"="+string(m.Payload))
	}
	slices.Sort(all)
	return all
}

func TestARecordThatTheStoreDidNotWriteIsDropped(t *testing.T) {
	ann, bob, retained := "ann-1 of ann: 1 1 1", "bob-1 of bob: 1 1 1", "r=kept"
	move := func(bucket []byte, from, to []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			return b.Put(to, bytes.Clone(b.Get(from)))
		}
	}
	forged := func(bucket, k []byte, version byte, body func([]byte) []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(k, seal(k, version, body)) }
	}
	for _, tt := range []struct {
		name    string
		change  func(*bbolt.Tx) error
		want    []string
		skipped uint64
	}{
		{"nothing is changed", func(*bbolt.Tx) error { return nil }, []string{ann, bob, retained}, 0},
		{"a session is given to another user", forged(bucketSessions, []byte("ann-1"), sessionFormat, (&Session{User: "bob"}).encode), []string{bob, retained}, 4},
		{"a session has another's record", move(bucketSessions, []byte("bob-1"), []byte("ann-1")), []string{bob, retained}, 4},
		{"a session is made up", forged(bucketSessions, []byte("eve-1"), sessionFormat, (&Session{User: "ann"}).encode), []string{ann, bob, retained}, 1},
		{"a subscription is made up", forged(bucketSubscriptions, key("ann-1", "#"), format, (&Subscription{}).encode), []string{ann, bob, retained}, 1},
		{"a subscription is another's", move(bucketSubscriptions, key("bob-1", "bob/#"), key("ann-1", "bob/#")), []string{ann, bob, retained}, 1},
		{"a message is another's", move(bucketDeliveries, packetKey("bob-1", 1), packetKey("ann-1", 2)), []string{ann, bob, retained}, 1},
		{"a record is moved to another bucket", func(tx *bbolt.Tx) error {
			k := packetKey("ann-1", 9)
			return tx.Bucket(bucketSubscriptions).Put(k, bytes.Clone(tx.Bucket(bucketReceived).Get(k)))
		}, []string{ann, bob, retained}, 1},
		{"a retained message is another", forged(bucketRetained, []byte("r"), format, encodeRetained(&message.Message{Payload: []byte("evil")})), []string{ann, bob}, 1},
		{"a bit of a session is another", func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(bucketSessions).Get([]byte("ann-1")))
			v[2] ^= 1
			return tx.Bucket(bucketSessions).Put([]byte("ann-1"), v)
		}, []string{bob, retained}, 4},
		{"a session is nothing", func(tx *bbolt.Tx) error { return tx.Bucket(bucketSessions).Put([]byte("ann-1"), nil) }, []string{bob, retained}, 4},
		{"the list of a user's sessions has another's", forged(bucketUsers, key("ann", "bob-1"), format, nothing), []string{ann, bob, retained}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := keyed(t, Config{Keys: [][]byte{keyA}})
			alter(t, file, tt.change)
			r := openWith(t, Config{File: file, Flush: time.Hour, MaxPending: 1 << 20, Keys: [][]byte{keyA}})
			if got := r.found(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := r.Stats().Skipped; got != tt.skipped {
				t.Errorf("%d records were skipped, want %d", got, tt.skipped)
			}
			if told := len(r.log.String()) > 0; told != (tt.skipped > 0) {
				t.Errorf("the log says %q", r.log)
			}
		})
	}
}

func TestTheKeyOfAFileChanges(t *testing.T) {
	file := keyed(t, Config{Keys: [][]byte{keyA}})
	reopen := func(unkeyed bool, keys ...[]byte) int {
		r := openWith(t, Config{File: file, Flush: time.Hour, MaxPending: 1 << 20, Keys: keys, Unkeyed: unkeyed})
		n := len(r.found())
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, n := range []int{reopen(false, keyB, keyA), reopen(false, keyB), reopen(false, keyA)} {
		if want := []int{3, 3, 0}[i]; n != want {
			t.Errorf("start %d: %d are there, want %d", i, n, want)
		}
	}
	old := func() {
		file = filepath.Join(t.TempDir(), "sessions.db")
		write(t, file, []record{{bucketSessions, []byte("gw"), session1}})
	}
	old()
	if n := reopen(false, keyA); n != 0 {
		t.Errorf("%d records without a key were believed", n)
	}
	old()
	for _, unkeyed := range []bool{true, false} {
		if n := reopen(unkeyed, keyA); n != 1 {
			t.Errorf("of a version without keys %d are there", n)
		}
	}
}

// register stands for one that has come to a state.
type register struct {
	history string // what is known is the beginning of it
	err     error
}

func (r *register) position() ([]byte, error) { return []byte(r.history), r.err }

func (r *register) known(at []byte) (bool, error) {
	return bytes.HasPrefix([]byte(r.history), at), r.err
}

func TestAFileOfALostFutureIsMovedAside(t *testing.T) {
	noPosition := func(tx *bbolt.Tx) error { return tx.Bucket(bucketLine).Delete(keyPosition) }
	for _, tt := range []struct {
		name   string
		now    string // the history at the second start; it was abc at the end of the first
		change func(*bbolt.Tx) error
		keys   [][]byte
		want   int
	}{
		{"the same state", "abc", nil, [][]byte{keyA}, 3},
		{"a later one", "abcd", nil, [][]byte{keyA}, 3},
		{"an earlier one: the store was put back", "ab", nil, [][]byte{keyA}, 0},
		{"another one after it was put back", "abx", nil, [][]byte{keyA}, 0},
		{"none that is told", "abc", noPosition, [][]byte{keyA}, 0},
		{"that of another store", "abc", nil, [][]byte{keyB}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := &register{history: "a"}
			cfg := Config{Keys: [][]byte{keyA}, Position: reg.position, Known: reg.known}
			cfg.File, cfg.Flush, cfg.MaxPending = keyed(t, cfg), time.Hour, 1<<20
			r := openWith(t, cfg)
			reg.history = "abc"
			r.PutRetained(&message.Message{Topic: "r", Payload: []byte("again")})
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				alter(t, cfg.File, tt.change)
			}
			reg.history, cfg.Keys = tt.now, tt.keys
			r = openWith(t, cfg)
			if got := r.found(); len(got) != tt.want {
				t.Errorf("got %q, want %d", got, tt.want)
			}
			aside, err := filepath.Glob(cfg.File + ".broken-*")
			if err != nil || (len(aside) > 0) != (tt.want == 0) {
				t.Errorf("moved aside: %q, %v", aside, err)
			}
		})
	}
}

// A register that can't be asked ends the start, and costs no session.
func TestAFileStaysWhenTheRegisterCanNotBeAsked(t *testing.T) {
	reg := &register{history: "a"}
	cfg := Config{Keys: [][]byte{keyA}, Position: reg.position, Known: reg.known}
	cfg.File, cfg.Flush, cfg.MaxPending, cfg.Now = keyed(t, cfg), time.Hour, 1<<20, time.Now
	cfg.Log, _ = logtest.New()
	reg.err = errors.New("away")
	if s, err := Open(cfg); err == nil {
		t.Error("the file was opened", s.Close())
	}
	reg.err = nil
	if got := openWith(t, cfg).found(); len(got) != 3 {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(cfg.File); err != nil {
		t.Error(err)
	}
}

// BenchmarkAuthentic is what a message of 64 bytes that reaches the disk costs more.
func BenchmarkAuthentic(b *testing.B) {
	a := newAuthentic([][]byte{keyA})
	k := packetKey("client-1", 1)
	d := Delivery{PacketID: 1, Stage: Sent, Message: message.Message{Topic: "a/b/c", Payload: make([]byte, 64), QoS: 1}}
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprint("tag ", with), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v := seal(k, format, d.encode)
				if with {
					a.close(bucketDeliveries, k, v)
				}
			}
		})
	}
}
