package registry

import (
	"context"
	"slices"
	"sync"
)

// Reservation is a client ID that one user alone may use, since the user's list names
// it exactly.
type Reservation struct {
	ClientID string
	User     UserID
}

// ReservedIDs knows in memory for whom client IDs are reserved, so that a CONNECT need
// not ask the store: about 150 bytes each, of which a user has MaxClientIDs at most.
type ReservedIDs struct {
	store UserReader

	mu     sync.RWMutex
	owners map[string]UserID
}

// NewReservedIDs returns what knows of no reservation before the first Reload.
func NewReservedIDs(store UserReader) *ReservedIDs { return &ReservedIDs{store: store} }

// Reload reads again for whom these client IDs are reserved; nil: all of them. It must
// not be called twice at once.
func (r *ReservedIDs) Reload(ctx context.Context, clientIDs []string) error {
	if clientIDs == nil {
		return r.reloadAll(ctx)
	}
	found, err := r.store.ReservationsOf(ctx, slices.Compact(slices.Sorted(slices.Values(clientIDs))))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, clientID := range clientIDs {
		delete(r.owners, clientID)
	}
	for _, f := range found {
		r.owners[f.ClientID] = f.User
	}
	return nil
}

func (r *ReservedIDs) reloadAll(ctx context.Context) error {
	found, err := r.store.Reservations(ctx)
	if err != nil {
		return err
	}
	owners := make(map[string]UserID, len(found))
	for _, f := range found {
		owners[f.ClientID] = f.User
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners = owners
	return nil
}

// Owner returns for whom a client ID is reserved, empty if it is for nobody.
func (r *ReservedIDs) Owner(clientID string) UserID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.owners[clientID]
}

// Len returns how many client IDs are reserved.
func (r *ReservedIDs) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.owners)
}

// changeReservations takes a number for each client ID that is reserved for the user
// only before or only after, and returns Conflict if one of the new ones is reserved
// for somebody else, whom callers are told who may read that user.
func (e *Edit) changeReservations(ctx context.Context, before, after *User) error {
	was, is := before.ReservedClientIDs(), after.ReservedClientIDs()
	fresh := without(is, was)
	if err := e.refuseReserved(ctx, after.ID, fresh); err != nil {
		return err
	}
	for _, clientID := range slices.Concat(without(was, is), fresh) {
		e.TouchKind(ClientIDChange, clientID)
	}
	return nil
}

// without returns the elements of list that are not among others.
func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

func (e *Edit) refuseReserved(ctx context.Context, id UserID, clientIDs []string) error {
	if len(clientIDs) == 0 {
		return nil
	}
	taken, err := e.tx.ReservationsOf(ctx, clientIDs)
	if err != nil {
		return err
	}
	for _, t := range taken {
		if t.User == id {
			continue
		}
		owner := "another user"
		if e.mayRead(t.User) {
			u, err := e.tx.User(ctx, t.User)
			if err != nil {
				return err
			}
			owner = "user " + u.Username
		}
		return Errorf(Conflict, FieldClientIDs, "%s is reserved for %s", t.ClientID, owner)
	}
	return nil
}

// mayRead reports whether the caller may know of a user.
func (e *Edit) mayRead(id UserID) bool {
	return e.hasAllRights() || e.isSelf(id) || e.caller.Reads != nil && e.caller.Reads(id)
}
