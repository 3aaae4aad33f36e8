package keep

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"mqttwarden/broker/message"
)

// written makes a file with some hundred records.
func written(t *testing.T) (file string, c content) {
	t.Helper()
	r := open(t)
	for i := range 20 {
		id := fmt.Sprint("client-", i)
		r.PutSession(Session{ClientID: id, User: fmt.Sprint("user-", i%4)})
		for j := range uint16(15) {
			r.PutDelivery(id, &Delivery{PacketID: j, Order: uint64(j), Stage: Sent, Message: message.Message{Topic: "t", Payload: make([]byte, 100)}}, true)
		}
	}
	r.PutRetained(&message.Message{Topic: "t"})
	r.commit()
	c = r.content()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return r.file, c
}

// TestARecordThatCantBeUsedIsLeftOut spoils single records of a sound file.
func TestARecordThatCantBeUsedIsLeftOut(t *testing.T) {
	file, want := written(t)
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		newer := append([]byte{format + 1}, "what we will think of"...)
		k := packetKey("client-0", 3)
		one := tx.Bucket(bucketDeliveries).Put(k, seal(k, format, func([]byte) []byte { return newer }))
		k = packetKey("client-0", 4)
		two := tx.Bucket(bucketDeliveries).Put(k, []byte("what nobody can read"))
		k = packetKey("a stranger", 1)
		three := tx.Bucket(bucketDeliveries).Put(k, seal(k, format, (&Delivery{Stage: Released}).encode))
		four := tx.Bucket(bucketSessions).Put([]byte("client-1"), []byte{1})
		return join(one, two, three, four)
	})
	if err := join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	r := openFile(t, file)
	for i, s := range want.Sessions {
		if s.ClientID == "client-0" {
			want.Sessions[i].Deliveries = append(s.Deliveries[:3:3], s.Deliveries[5:]...)
		}
	}
	for i, s := range want.Sessions {
		if s.ClientID == "client-1" {
			want.Sessions = append(want.Sessions[:i:i], want.Sessions[i+1:]...)
			break
		}
	}
	if diff := cmp.Diff(want, r.content()); diff != "" {
		t.Error(diff)
	}
	const orphans = 15
	if st := r.Stats(); st.Skipped != 4+orphans || r.log.Count("can't be used") != 1 {
		t.Errorf("%d skipped, %d lines in the log; want %d, and one line", st.Skipped, r.log.Count("can't be used"), 4+orphans)
	}
	if r = r.again(); r.Stats().Skipped != 0 {
		t.Error("they were not left out of the new file")
	}
}

func join(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestNoDamageStopsTheStart spoils a file anywhere, and cuts it anywhere.
func TestNoDamageStopsTheStart(t *testing.T) {
	file, want := written(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	aside := 0
	for i := range 120 {
		spoilt := bytes.Clone(whole)
		switch i % 3 {
		case 0: // a few bytes
			for range 1 + chance.IntN(8) {
				spoilt[chance.IntN(len(spoilt))] = byte(chance.Uint32())
			}
		case 1: // a whole page
			at := chance.IntN(len(spoilt)/4096) * 4096
			for j := range 4096 {
				spoilt[at+j] = byte(chance.Uint32())
			}
		default:
			spoilt = spoilt[:chance.IntN(len(spoilt))]
		}
		path := filepath.Join(t.TempDir(), "sessions.db")
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		r := openFile(t, path)
		if got := r.content(); len(got.Sessions) > len(want.Sessions) {
			t.Errorf("%d sessions out of %d", len(got.Sessions), len(want.Sessions))
		}
		moved, _ := filepath.Glob(path + ".broken-*")
		if len(moved) > 0 {
			aside++
			if kept, err := os.ReadFile(moved[0]); err != nil || !bytes.Equal(kept, spoilt) {
				t.Error("what was moved aside is not what was there")
			}
			if r.log.Count("starting without") != 1 {
				t.Error("the log does not tell")
			}
		}
		r.PutSession(Session{ClientID: "later", User: "u"})
		r = r.again()
		found := false
		for _, s := range r.content().Sessions {
			found = found || s.ClientID == "later"
		}
		if !found {
			t.Fatal("nothing can be written after that")
		}
		_ = r.Close()
	}
	if aside == 0 {
		t.Error("no damage was found: the test spoils nothing")
	}
}

// TestACrashAtAnyPointOfACommitLosesThatCommitAtMost makes what a disk may hold
// when the power fails during a commit: bbolt syncs the pages of data before it
// writes the page that makes them count, so any of the former may be missing
// while the latter is the old one.
func TestACrashAtAnyPointOfACommitLosesThatCommitAtMost(t *testing.T) {
	r := open(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	page := r.db.Info().PageSize
	for round := range 5 {
		before, had := r.snapshot()
		for range 1 + chance.IntN(40) {
			id := fmt.Sprint("client-", chance.IntN(8))
			switch chance.IntN(5) {
			case 0:
				r.PutSession(Session{ClientID: id, User: fmt.Sprint("user-", round)})
			case 1:
				r.DropSession(id)
			default:
				p := uint16(chance.IntN(20))
				r.PutDelivery(id, &Delivery{PacketID: p, Order: uint64(p), Stage: Sent, Message: message.Message{Topic: "t", Payload: make([]byte, chance.IntN(6000))}}, false)
			}
		}
		r.commit()
		after, has := r.snapshot()
		for range 6 {
			torn := make([]byte, len(after))
			copy(torn, before)
			for at := 2 * page; at < len(torn); at += page {
				if chance.IntN(2) == 0 {
					copy(torn[at:min(at+page, len(torn))], after[at:])
				}
			}
			opensWith(t, torn, had)
		}
		whole := bytes.Clone(after)
		copy(whole, before[:2*page]) // all pages of data, the old meta pages
		opensWith(t, whole, had)
		opensWith(t, after, has)
		half := bytes.Clone(after)
		for at := 0; at < 2*page; at += page {
			if !bytes.Equal(before[at:at+page], after[at:at+page]) {
				copy(half[at+page/2:at+page], bytes.Repeat([]byte{0xAA}, page/2))
				copy(half[at+40:], bytes.Repeat([]byte{0xAA}, 40)) // in the midst of the meta page
			}
		}
		opensWith(t, half, had)
	}
}

// snapshot returns the bytes of the file and what it has.
func (r *rig) snapshot() ([]byte, content) {
	r.tb.Helper()
	b, err := os.ReadFile(r.file)
	if err != nil {
		r.tb.Fatal(err)
	}
	return b, r.content()
}

// opensWith wants a file with such bytes to have that.
func opensWith(t *testing.T, file []byte, want content) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sessions.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	r := openFile(t, path)
	defer r.Close()
	if diff := cmp.Diff(want, r.content()); diff != "" {
		t.Fatalf("%s\n%s", diff, r.log)
	}
}

// TestAStartThatIsCutOffLeavesTheOldFile finds the copy of a start that did not
// get to its end.
func TestAStartThatIsCutOffLeavesTheOldFile(t *testing.T) {
	file, want := written(t)
	if err := os.WriteFile(file+".new", []byte("half of a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, openFile(t, file).content()); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(file + ".new"); err == nil {
		t.Error("the copy is still there")
	}
}

func TestADirectoryThatCantBeWrittenToIsAnError(t *testing.T) {
	_, err := Open(Config{File: filepath.Join(t.TempDir(), "none", "sessions.db"), Now: time.Now})
	if err == nil {
		t.Error("want an error")
	}
}
