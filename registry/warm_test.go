package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
)

// RecordsAfter implements RecordSource.
func (f *fakeStore) RecordsAfter(_ context.Context, after UserID, limit int) ([]Record, error) {
	f.mu.Lock()
	var all []Record
	for id, u := range f.users {
		if id > after {
			rec := Record{User: u}
			for _, role := range u.Roles {
				rec.RoleVersions = append(rec.RoleVersions, f.roles[role].Version)
			}
			all = append(all, rec)
		}
	}
	down, onRead := f.down, f.onRead
	f.mu.Unlock()
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.User.ID, b.User.ID) })
	if onRead != nil {
		onRead()
	}
	return all[:min(limit, len(all))], down
}

// crowd puts n users into f.
func crowd(f *fakeStore, n int) {
	for i := range n {
		f.put(UserID(fmt.Sprintf("%04d", i)), fmt.Sprintf("user-%04d", i), "a")
	}
}

func TestWarmReadsAllUsersOnce(t *testing.T) {
	f := newFakeStore()
	n := 2*warmPage + 1
	crowd(f, n)
	p := f.near(2*n, always)
	if read, err := p.Warm(t.Context(), f); read != n || err != nil {
		t.Fatalf("%d were read (%v), want %d", read, err, n)
	}
	reads := f.reads
	for i := range n {
		if _, err := p.ByName(t.Context(), fmt.Sprintf("user-%04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if f.reads != reads {
		t.Errorf("the store was asked %d times for users who were in memory", f.reads-reads)
	}
}

func TestWarmEndsWhereMemoryIsFull(t *testing.T) {
	f := newFakeStore()
	crowd(f, 10*warmPage)
	p := f.near(2*warmPage, always)
	read, err := p.Warm(t.Context(), f)
	if err != nil || read > 4*warmPage {
		t.Errorf("%d users were read (%v) where there is room for %d", read, err, 2*warmPage)
	}
	if got := p.Stats().Bytes; got > p.cfg.Size {
		t.Errorf("%d bytes are taken, want at most %d", got, p.cfg.Size)
	}
}

func TestWarmKeepsNothingThatAChangeOvertook(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "old")
	p := f.near(10, always)
	f.onRead = func() {
		f.onRead = nil
		p.changed(map[UserID]uint64{"1": f.put("1", "alice", "new")}, nil)
	}
	if read, err := p.Warm(t.Context(), f); read != 0 || err != nil {
		t.Fatalf("%d were kept (%v), want none", read, err)
	}
	s, err := p.ByName(t.Context(), "alice")
	if err != nil || s.Principal().User.Version != 2 {
		t.Errorf("alice is not as she stands now: %v", err)
	}
}

func TestWarmLeavesASubjectAloneThatASessionHolds(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := f.near(10, always)
	held, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Warm(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if again, err := p.ByName(t.Context(), "alice"); again != held || err != nil {
		t.Errorf("alice has another subject now (%v)", err)
	}
}

func TestWarmSaysThatTheStoreIsAway(t *testing.T) {
	f := newFakeStore()
	crowd(f, 3)
	f.down = Errorf(Unavailable, "", "away")
	p := f.near(10, always)
	if read, err := p.Warm(t.Context(), f); read != 0 || err == nil {
		t.Errorf("got %d and no error", read)
	}
	if len(p.loads) != 0 {
		t.Error("a look-up was not ended")
	}
}
