package registry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"mqttwarden/registry/acl"
	"mqttwarden/registry/flight"
)

// heldRole is one version of a role as those hold it who have it: compiled once.
type heldRole struct {
	id      RoleID
	version uint64
	set     *acl.Set
}

func newHeldRole(r *Role) *heldRole {
	return &heldRole{id: r.ID, version: r.Version, set: acl.NewSet(grants(r.ID, r.Permissions...))}
}

// holding is all that a user holds. It is shared by those who hold the same roles.
type holding struct {
	roles []*heldRole
	acl   *acl.Holding
}

func newHolding(roles []*heldRole) *holding {
	sets := make([]*acl.Set, len(roles))
	for i, r := range roles {
		sets[i] = r.set
	}
	return &holding{roles, acl.Hold(sets...)}
}

// HeldRoles knows the compiled roles that anybody holds, in their latest versions,
// and what is held of them together. It is safe for concurrent use.
type HeldRoles struct {
	mu       sync.Mutex
	held     map[RoleID]weak.Pointer[heldRole]
	holdings map[string]weak.Pointer[holding]   // by the IDs of the roles
	reading  flight.Group[map[RoleID]*heldRole] // of roles that several ask for at once
}

// NewHeldRoles returns roles that nobody holds yet.
func NewHeldRoles() *HeldRoles {
	return &HeldRoles{held: make(map[RoleID]weak.Pointer[heldRole]), holdings: make(map[string]weak.Pointer[holding])}
}

func (h *HeldRoles) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

func (h *HeldRoles) get(id RoleID) *heldRole {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[id].Value()
}

// put remembers a role unless a later version is known, and returns the one that
// stands then.
func (h *HeldRoles) put(r *heldRole) *heldRole {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.held[r.id].Value(); known != nil && known.version >= r.version {
		return known
	}
	h.held[r.id] = weak.Make(r)
	runtime.AddCleanup(r, h.forget, r.id)
	return r
}

// together returns the holding of roles, of which it keeps the slice.
func (h *HeldRoles) together(roles []*heldRole) *holding {
	key := keyOf(roles, func(r *heldRole) RoleID { return r.id })
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.holdings[key].Value(); known != nil && slices.Equal(known.roles, roles) {
		return known
	}
	now := newHolding(roles)
	h.holdings[key] = weak.Make(now)
	runtime.AddCleanup(now, h.forgetHolding, key)
	return now
}

// keyOf makes one text of the IDs of roles.
func keyOf[T any](roles []T, id func(T) RoleID) string {
	var b strings.Builder
	for _, r := range roles {
		b.WriteString(string(id(r)))
		b.WriteByte(0) // is in no ID
	}
	return b.String()
}

// forgetHolding removes a holding that nobody has any more.
func (h *HeldRoles) forgetHolding(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holdings[key].Value() == nil {
		delete(h.holdings, key)
	}
}

// forget removes a role that nobody holds any more.
func (h *HeldRoles) forget(id RoleID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[id].Value() == nil {
		delete(h.held, id)
	}
}

// RoleSource reads roles in one snapshot and in no order: their IDs, versions and
// permissions, and nothing else. Those that are not there are left out.
type RoleSource interface {
	RolesByID(ctx context.Context, ids []RoleID) ([]Role, error)
}

// errMixed says that a user and its roles were not read as they stood together at
// any one time.
var errMixed = errors.New("registry: the roles have changed since the user was read")

// of returns what rec held as it stood when it was read. Those that are not
// held in that version are read from source. It returns errMixed when that is not
// how they stand any more: the record must be read again, and not from a cache.
func (h *HeldRoles) of(ctx context.Context, source RoleSource, rec *Record) (*holding, error) {
	all := make([]*heldRole, len(rec.User.Roles))
	var missing []RoleID
	for i, id := range rec.User.Roles {
		if all[i] = h.get(id); all[i] == nil || all[i].version < rec.RoleVersions[i] {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		if rec.Cached { // what is read now may be later than what this node has heard
			return nil, errMixed
		}
		read, err := h.readOnce(ctx, source, missing)
		if err != nil {
			return nil, err
		}
		for i, id := range rec.User.Roles {
			if now := read[id]; now != nil {
				all[i] = now
			}
		}
	}
	for i, r := range all {
		if r == nil || r.version != rec.RoleVersions[i] && !rec.Cached {
			return nil, errMixed
		}
	}
	return h.together(all), nil
}

// readingPatience bounds how long roles may take to be read, however many wait.
const readingPatience = 30 * time.Second

// readOnce is read for those who ask for the same roles at once: a fleet that comes back,
// or a user who signs in many times, has large roles compiled once. What is found may
// have been read before one of them asked.
func (h *HeldRoles) readOnce(ctx context.Context, source RoleSource, ids []RoleID) (map[RoleID]*heldRole, error) {
	return h.reading.Do(ctx, keyOf(ids, func(id RoleID) RoleID { return id }), readingPatience, func(ctx context.Context) (map[RoleID]*heldRole, error) {
		return h.read(ctx, source, ids)
	})
}

// read reads roles and remembers them.
func (h *HeldRoles) read(ctx context.Context, source RoleSource, ids []RoleID) (map[RoleID]*heldRole, error) {
	roles, err := source.RolesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	read := make(map[RoleID]*heldRole, len(roles))
	for i := range roles {
		read[roles[i].ID] = h.put(newHeldRole(&roles[i]))
	}
	return read, nil
}

// reread reads those of the roles that anybody holds, and remembers them. One that
// is gone is not among what it returns: those who held it are touched, too.
func (h *HeldRoles) reread(ctx context.Context, source RoleSource, ids map[RoleID]uint64) (map[RoleID]*heldRole, error) {
	var held []RoleID
	for id := range ids {
		if h.get(id) != nil {
			held = append(held, id)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	return h.read(ctx, source, held)
}
