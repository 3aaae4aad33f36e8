package authhook_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// passwords checks passwords whose hash they are.
type passwords struct{}

// tokenUsers signs in with the password "token:<id>" who has the grant type, as
// if <id> were a token with an hour to live.
type tokenUsers struct {
	*registry.SignIn
	store *store
}

func (t tokenUsers) In(ctx context.Context, a registry.Attempt) (registry.Login, error) {
	login, err := t.SignIn.In(ctx, registry.Attempt{Username: a.Username, Password: "secret", HasPassword: true})
	if id, ok := cutToken(a.Password); ok && err == nil {
		if alive, _ := t.store.tokenAlive(ctx, id); !alive {
			return registry.Login{}, registry.Unauthenticated
		}
		login.Proof.PasswordSet = time.Time{}
		login.Proof.Token = id
		login.Proof.Expires = t.store.tokenEnd
		return login, nil
	}
	return t.SignIn.In(ctx, a)
}

func cutToken(password string) (registry.TokenID, bool) {
	if len(password) > 6 && password[:6] == "token:" {
		return registry.TokenID(password[6:]), true
	}
	return "", false
}

// account is a user with one role, which has these grants and is nobody else's.
type account struct {
	User   registry.User
	Grants []acl.Grant
}

func (a *account) role() registry.RoleID { return registry.RoleID("role of " + a.User.ID) }

// record is the account as principals are made of it. The role is always as old as
// the user.
func (a *account) record() registry.Record {
	u := a.User.Clone()
	u.Roles = []registry.RoleID{a.role()}
	return registry.Record{User: u, RoleVersions: []uint64{u.Version}}
}

func (a *account) permissions() (all []registry.Permission) {
	for _, g := range a.Grants {
		all = append(all, registry.Permission{Resource: g.Resource, Operation: g.Operation, Context: g.Context, Effect: g.Effect})
	}
	return all
}

// store is a register in memory.
type store struct {
	mu       sync.Mutex
	accounts map[registry.UserID]account
	changes  []registry.Change
	tokens   map[registry.TokenID]bool
	tokenEnd time.Time
	failure  error // of every look-up, if not nil
}

// principals returns a near cache over the store.
func (st *store) principals() *registry.Principals {
	return registry.NewPrincipals(registry.PrincipalsConfig{
		Store: st, Roles: registry.NewHeldRoles(), Size: 1000, Fresh: func() bool { return true },
	})
}

func (st *store) change(name string, f func(*account)) uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	id := registry.UserID(name + "-id")
	rec := st.accounts[id]
	rec.User = rec.User.Clone()
	f(&rec)
	rec.User.Version = uint64(len(st.changes) + 1)
	st.accounts[id] = rec
	return st.log(id)
}

func (st *store) remove(name string) uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	id := registry.UserID(name + "-id")
	delete(st.accounts, id)
	return st.log(id)
}

func (st *store) log(id registry.UserID) uint64 {
	n := uint64(len(st.changes) + 1)
	st.changes = append(st.changes, registry.Change{Number: n, Kind: registry.UserChange, ID: string(id), Time: time.Now()})
	return n
}

func (st *store) fail(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.failure = err
}

func (st *store) tokenAlive(_ context.Context, id registry.TokenID) (bool, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.tokens[id], st.failure
}

func (st *store) setToken(id registry.TokenID, alive bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.tokens[id] = alive
}

func (st *store) find(match func(registry.User) bool) (registry.Record, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.failure != nil {
		return registry.Record{}, st.failure
	}
	for a := range maps.Values(st.accounts) {
		if match(a.User) {
			return a.record(), nil
		}
	}
	return registry.Record{}, registry.NotFound
}

func (st *store) RecordByID(_ context.Context, id registry.UserID) (registry.Record, error) {
	return st.find(func(u registry.User) bool { return u.ID == id })
}

func (st *store) RecordByName(_ context.Context, name string) (registry.Record, error) {
	return st.find(func(u registry.User) bool { return u.Username == name })
}

func (st *store) RecordByFingerprint(_ context.Context, sum string) (registry.Record, error) {
	return st.find(func(u registry.User) bool {
		return slices.ContainsFunc(u.Fingerprints, func(f registry.Fingerprint) bool { return f.SHA256 == sum })
	})
}

func (st *store) RolesByID(_ context.Context, ids []registry.RoleID) (found []registry.Role, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for a := range maps.Values(st.accounts) {
		if slices.Contains(ids, a.role()) {
			found = append(found, registry.Role{ID: a.role(), Permissions: a.permissions(), Version: a.User.Version})
		}
	}
	return found, st.failure
}

func (st *store) Changes(_ context.Context, after uint64, limit int) ([]registry.Change, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	rest := st.changes[min(int(after), len(st.changes)):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (st *store) ChangesSince(context.Context, time.Time) ([]registry.Change, error) {
	return nil, nil
}

func (st *store) Position(context.Context) (registry.Position, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return registry.Position{Number: uint64(len(st.changes))}, nil
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
