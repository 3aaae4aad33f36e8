package frame

import (
	"encoding/binary"
	"testing"
)

// sends returns what the exchange says about a QoS 1 PUBLISH of the broker.
func sends(e *Exchange, id uint16, again bool) Action {
	h := Header{Type: TypePublish, Flags: 0b0010, Remaining: 5}
	if again {
		h.Flags |= 0b1000
	}
	body := append([]byte{0, 1, 't'}, 0, 0)
	binary.BigEndian.PutUint16(body[3:], id)
	return e.FromServer(h, body).Action
}

// next has the broker send what the exchange names, and returns all of that.
func next(t *testing.T, e *Exchange) (ids []uint16) {
	t.Helper()
	for {
		id, _, ok := e.Next()
		if !ok {
			return ids
		}
		if a := sends(e, id, false); a != Pass {
			t.Fatalf("%d, which was named: %v", id, a)
		}
		ids = append(ids, id)
	}
}

func TestNothingNewIsSentBeforeWhatHasWaited(t *testing.T) {
	e := NewExchange(Level5, 3, 10)
	e.Resending()
	steps := []struct {
		id    uint16
		again bool
		want  Action
	}{
		{id: 1, again: true, want: Pass},
		{id: 8, want: Hold}, // new
		{id: 2, again: true, want: Pass},
		{id: 9, want: Hold},              // new, and mochi has it among what waits by now
		{id: 9, again: true, want: Pass}, // so it comes again
		{id: 3, again: true, want: Hold}, // no room
		{id: 8, want: Hold},
	}
	for i, s := range steps {
		if got := sends(e, s.id, s.again); got != s.want {
			t.Errorf("step %d, %d: %v, want %v", i, s.id, got, s.want)
		}
	}
	if ids := next(t, e); ids != nil {
		t.Errorf("%v are named before there is room", ids)
	}
	e.Resent()
	for _, id := range []uint16{1, 2, 9} {
		e.FromClient(Header{Type: TypePuback, Remaining: 2}, binary.BigEndian.AppendUint16(nil, id), 0)
	}
	if ids := next(t, e); len(ids) != 2 || ids[0] != 3 || ids[1] != 8 {
		t.Errorf("%v are named, want 3, which waited, and 8", ids)
	}
	if got := sends(e, 10, false); got != Pass {
		t.Errorf("a new message later: %v", got)
	}
}
