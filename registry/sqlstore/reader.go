package sqlstore

import (
	"context"
	"errors"

	"mqttwarden/registry"
)

// reader is what may be read within and without a transaction. Its view runs a
// function in one snapshot: the store's in a new one, a transaction's in itself.
// Its look is for a single statement, which is a snapshot by itself: it costs one
// round trip, and a view three.
type reader struct {
	view func(ctx context.Context, read func(*sqlTx) error) error
	look func(ctx context.Context, read func(*sqlTx) error) error
}

var _ registry.Reader = reader{}

// view returns what read finds in one snapshot.
func view[T any](ctx context.Context, r reader, read func(*sqlTx) (T, error)) (T, error) {
	var found T
	err := r.view(ctx, func(t *sqlTx) (err error) {
		found, err = read(t)
		return err
	})
	return found, err
}

// look returns what read finds with one statement.
func look[T any](ctx context.Context, r reader, read func(*sqlTx) (T, error)) (T, error) {
	var found T
	err := r.look(ctx, func(t *sqlTx) (err error) {
		found, err = read(t)
		return err
	})
	return found, err
}

// missing makes NotFound of errNoRow and leaves other errors as they are.
func missing(err error, what string) error {
	if errors.Is(err, errNoRow) {
		return registry.Errorf(registry.NotFound, "", "there is no such %s", what)
	}
	return err
}
