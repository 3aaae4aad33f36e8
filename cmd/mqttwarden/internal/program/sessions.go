package program

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"mqttwarden/registry"
)

// settingSessionsKeyed is set in the store once its file of sessions has been written
// with keys: from then on nothing else is believed.
const settingSessionsKeyed = "sessions-keyed"

// historyTimeout bounds how long the store is waited for. While sessions are written an
// answer that does not come has their file say of an earlier state.
const historyTimeout = time.Second

// history ties the file of sessions to the store, to its epoch and to its line of
// changes.
type history struct{ a *app }

// Keys implements broker.History.
func (h history) Keys() (keys [][]byte, unkeyed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), historyTimeout)
	defer cancel()
	id, err := h.a.register.Store.Identity(ctx)
	if err != nil {
		return nil, false, err
	}
	_, err = h.a.register.Store.Setting(ctx, settingSessionsKeyed)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return nil, false, err
	}
	return h.a.register.Keys.MACs("sessions", []byte(id.StoreID), strconv.AppendUint(nil, id.Epoch, 10)), err != nil, nil
}

// Position implements broker.History.
func (h history) Position() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), historyTimeout)
	defer cancel()
	p, err := h.a.register.Store.Position(ctx)
	return appendPosition(nil, p), err
}

// Known implements broker.History.
func (h history) Known(position []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), historyTimeout)
	defer cancel()
	return hasBeen(ctx, h.a.register.Store, position)
}

func appendPosition(b []byte, p registry.Position) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, p.Number), p.Mark)
}

// line is what of a store tells its history.
type line interface {
	Position(ctx context.Context) (registry.Position, error)
	Changes(ctx context.Context, after uint64, limit int) ([]registry.Change, error)
}

// hasBeen reports whether the line of changes has been at a position: it has come as far,
// and the change there, if it is still kept, has the same mark.
func hasBeen(ctx context.Context, store line, position []byte) (bool, error) {
	if len(position) != 16 {
		return false, nil
	}
	was := registry.Position{Number: binary.BigEndian.Uint64(position), Mark: binary.BigEndian.Uint64(position[8:])}
	now, err := store.Position(ctx)
	if err != nil || was.Number == 0 {
		return true, err
	}
	if now.Number < was.Number {
		return false, nil
	}
	changes, err := store.Changes(ctx, was.Number-1, 1)
	if err != nil || len(changes) == 0 || changes[0].Number != was.Number {
		return true, err
	}
	return changes[0].Mark == was.Mark, nil
}
