package sqlstore

import (
	"context"
	"slices"

	"mqttwarden/registry"
)

const insertReservation = `INSERT INTO reserved_client_ids (client_id, user_id) VALUES`

func scanReservation(r row) (v registry.Reservation, err error) {
	err = r.Scan(&v.ClientID, &v.User)
	return v, err
}

// Reservations implements registry.UserReader.
func (r reader) Reservations(ctx context.Context) ([]registry.Reservation, error) {
	return view(ctx, r, func(t *sqlTx) ([]registry.Reservation, error) {
		return all(ctx, t, scanReservation, `SELECT client_id, user_id FROM reserved_client_ids`)
	})
}

// ReservationsOf implements registry.UserReader.
func (r reader) ReservationsOf(ctx context.Context, clientIDs []string) (found []registry.Reservation, err error) {
	err = r.view(ctx, func(t *sqlTx) error {
		for batch := range batches(clientIDs) {
			some, err := all(ctx, t, scanReservation,
				`SELECT client_id, user_id FROM reserved_client_ids WHERE client_id IN `+list(1, len(batch)), anys(batch)...)
			if err != nil {
				return err
			}
			found = append(found, some...)
		}
		return nil
	})
	return found, err
}

// reserve reserves client IDs for a user.
func (tx *tx) reserve(ctx context.Context, id registry.UserID, clientIDs []string) error {
	err := insert(ctx, tx.t, insertReservation, clientIDs, func(clientID string) []any { return []any{clientID, id} })
	if tx.broken(err) == primaryKey {
		return tx.refuse(err, registry.Conflict, registry.FieldClientIDs, "name one that is reserved for another user")
	}
	return err
}

// changeReservations reserves what u names that it did not before, and gives up what it
// names no more. It is called before u is stored. A client ID that the user named all
// along without having it, as can be from before there were reservations, stays so.
func (tx *tx) changeReservations(ctx context.Context, u *registry.User) error {
	old, err := one(ctx, tx.t, scanNamedClientIDs, namedClientIDs, u.ID)
	if err != nil {
		return missing(err, "user")
	}
	before, after := old.ReservedClientIDs(), u.ReservedClientIDs()
	for _, clientID := range before {
		if slices.Contains(after, clientID) {
			continue
		}
		_, err := tx.t.exec(ctx, `DELETE FROM reserved_client_ids WHERE client_id = $1 AND user_id = $2`, clientID, u.ID)
		if err != nil {
			return err
		}
	}
	return tx.reserve(ctx, u.ID, slices.DeleteFunc(after, func(clientID string) bool { return slices.Contains(before, clientID) }))
}

// namedClientIDs selects what tells which client IDs a user names.
const namedClientIDs = `SELECT username, client_ids FROM users WHERE id = $1`

func scanNamedClientIDs(r row) (u registry.User, err error) {
	err = r.Scan(&u.Username, asJSON{&u.ClientIDs})
	return u, err
}
