package registry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry/acl"
)

// fakeStore is a line of changes and the users and roles they tell of.
type fakeStore struct {
	mu      sync.Mutex
	users   map[UserID]User
	roles   map[RoleID]Role
	changes []Change
	reads   int
	down    error
	onRead  func() // called after a record was taken, before it is handed out
}

func newFakeStore() *fakeStore {
	return &fakeStore{users: make(map[UserID]User), roles: make(map[RoleID]Role)}
}

// near returns a near cache of size users in front of f. One of them, with its role,
// takes more than half of what is reckoned for it here.
func (f *fakeStore) near(size int, fresh func() bool) *Principals {
	return NewPrincipals(PrincipalsConfig{Store: f, Roles: NewHeldRoles(), Size: 2000 * size, Fresh: fresh})
}

// principal returns a user as it stands.
func (f *fakeStore) principal(id UserID) *Principal {
	u := f.users[id]
	var roles []Role
	for _, r := range u.Roles {
		roles = append(roles, f.roles[r])
	}
	return NewPrincipal(u, roles)
}

// put commits a user under the next number, with a role of its own for a topic.
func (f *fakeStore) put(id UserID, name, topic string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(len(f.changes) + 1)
	role := RoleID(string(id) + " " + topic)
	f.roles[role] = roleFor(role, topic, n)
	f.users[id] = User{ID: id, Username: name, Active: true, Version: n, Roles: []RoleID{role}}
	f.changes = append(f.changes, Change{Number: n, Kind: UserChange, ID: string(id), Time: time.Unix(int64(n), 0)})
	return n
}

func roleFor(id RoleID, topic string, version uint64) Role {
	return Role{ID: id, Version: version, Permissions: []Permission{{ID: "p", Context: acl.MQTT, Operation: acl.Write, Resource: topic}}}
}

// putRole commits another topic of a role.
func (f *fakeStore) putRole(id RoleID, topic string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(len(f.changes) + 1)
	f.roles[id] = roleFor(id, topic, n)
	f.changes = append(f.changes, Change{Number: n, Kind: RoleChange, ID: string(id)})
	return n
}

func (f *fakeStore) remove(id UserID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.users, id)
	n := uint64(len(f.changes) + 1)
	f.changes = append(f.changes, Change{Number: n, Kind: UserChange, ID: string(id)})
	return n
}

func (f *fakeStore) find(match func(User) bool) (Record, error) {
	f.mu.Lock()
	f.reads++
	rec, err := Record{}, Errorf(NotFound, "", "no such user")
	for _, u := range f.users {
		if !match(u) {
			continue
		}
		rec, err = Record{User: u}, nil
		for _, id := range u.Roles {
			rec.RoleVersions = append(rec.RoleVersions, f.roles[id].Version)
		}
	}
	if f.down != nil {
		rec, err = Record{}, f.down
	}
	onRead := f.onRead
	f.mu.Unlock()
	if onRead != nil {
		onRead()
	}
	return rec, err
}

func (f *fakeStore) RecordByID(_ context.Context, id UserID) (Record, error) {
	return f.find(func(u User) bool { return u.ID == id })
}

func (f *fakeStore) RecordByName(_ context.Context, name string) (Record, error) {
	return f.find(func(u User) bool { return u.Username == name })
}

func (f *fakeStore) RecordByFingerprint(_ context.Context, fp string) (Record, error) {
	return f.find(func(u User) bool { return u.FingerprintValid(fp, time.Time{}) })
}

// RolesByID implements RoleSource.
func (f *fakeStore) RolesByID(_ context.Context, ids []RoleID) ([]Role, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var roles []Role
	for _, id := range ids {
		if r, ok := f.roles[id]; ok {
			roles = append(roles, r)
		}
	}
	return roles, f.down
}

func (f *fakeStore) Changes(_ context.Context, after uint64, limit int) ([]Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	rest := f.changes[min(after, uint64(len(f.changes))):]
	return append([]Change(nil), rest[:min(limit, len(rest))]...), nil
}

func (f *fakeStore) ChangesSince(context.Context, time.Time) ([]Change, error) { return nil, nil }

func (f *fakeStore) Position(context.Context) (Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Position{Number: uint64(len(f.changes))}, nil
}

func always() bool { return true }

func name(s *Subject) string {
	if p := s.Principal(); p != nil {
		return p.User.Username
	}
	return "gone"
}

func TestPrincipalsAnswerFromMemoryOnceAsked(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := f.near(10, always)
	first, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := p.ByName(t.Context(), "alice")
		if err != nil || again != first {
			t.Fatalf("got %v, %v: want the same subject again", again, err)
		}
	}
	byID, err := p.ByID(t.Context(), "1")
	if err != nil || byID != first {
		t.Errorf("by id: got %v, %v: want the same subject", byID, err)
	}
	if f.reads != 1 {
		t.Errorf("the store was read %d times, want once", f.reads)
	}
}

func TestPrincipalsSayUnavailableForAStoreThatFails(t *testing.T) {
	f := newFakeStore()
	f.down = Errorf(Unavailable, "", "disk on fire")
	_, err := f.near(10, always).ByName(t.Context(), "alice")
	if !errors.Is(err, Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func TestPrincipalsDoNotTrustMemoryThatIsNotFresh(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	fresh := true
	p := f.near(10, func() bool { return fresh })
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	fresh, f.down = false, Errorf(Unavailable, "", "unreachable")
	if _, err := p.ByName(t.Context(), "alice"); !errors.Is(err, Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
	if name(s) != "alice" {
		t.Error("a session that is connected lost its principal")
	}
}

func TestPrincipalsForgetWhatNobodyHolds(t *testing.T) {
	f := newFakeStore()
	p := f.near(4, always)
	for i := range 50 {
		id := UserID(fmt.Sprint(i))
		f.put(id, "user-"+string(id), "a")
		if _, err := p.ByName(t.Context(), "user-"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	held := 50
	for range 100 { // cleanups run some time after a collection
		runtime.GC()
		if held = p.Stats().Users; held <= 4 {
			break
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	if held > 4 {
		t.Errorf("%d subjects are held, want at most 4", held)
	}
}

func TestPrincipalsKeepTheSubjectThatASessionHolds(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := f.near(1, always)
	alice, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 { // push alice out of what is remembered
		id := UserID(fmt.Sprint("x", i))
		f.put(id, "other-"+string(id), "a")
		if _, err := p.ByName(t.Context(), "other-"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	again, err := p.ByName(t.Context(), "alice")
	if err != nil || again != alice {
		t.Errorf("got another subject (%v): changes would not reach the session", err)
	}
}

func TestPrincipalsReadAgainWhenAChangeOvertakesTheRead(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "old")
	p := f.near(10, always)
	once := sync.Once{}
	f.onRead = func() {
		once.Do(func() { // the record was read; now it changes, before it is kept
			n := f.put("1", "alice", "new")
			p.changed(map[UserID]uint64{"1": n}, nil)
		})
	}
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Principal().Grants()[0].Resource; got != "new" {
		t.Errorf("kept the grants from before the change: %q", got)
	}
}

func TestPrincipalsNeverGoBackToAnOlderPrincipal(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "one")
	old := f.principal("1")
	f.put("1", "alice", "two")
	p := f.near(10, always)
	s, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := p.swap("1", old); got.After.User.Version != 2 {
		t.Errorf("swap put number %d in", got.After.User.Version)
	}
	if got := s.Principal().User.Version; got != 2 {
		t.Errorf("the subject stands at number %d, want 2", got)
	}
}

func TestANameThatGoesToAnotherUserIsThatUser(t *testing.T) {
	f := newFakeStore()
	f.put("1", "alice", "a")
	p := f.near(10, always)
	first, err := p.ByName(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	f.put("1", "alicia", "a")
	p.swap("1", f.principal("1"))
	f.put("2", "alice", "b")
	second, err := p.ByName(t.Context(), "alice")
	if err != nil || second.ID() != "2" {
		t.Fatalf("got user %v, %v: want the new one", second, err)
	}
	renamed, err := p.ByName(t.Context(), "alicia")
	if err != nil || renamed != first {
		t.Errorf("got %v, %v: want the first user under its new name", renamed, err)
	}
}
