package frame

import (
	"encoding/binary"
	"slices"
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
	for _, s := range []struct {
		id    uint16
		again bool
	}{{1, true}, {8, false}, {2, true}, {3, true}, {9, true}} { // 9 has come meanwhile, too
		if got := sends(e, s.id, s.again); got != Drop {
			t.Errorf("%d, again %t: %v, want it dropped", s.id, s.again, got)
		}
	}
	e.Resent([]uint16{1, 2, 3, 8, 9}, []uint16{8, 9})
	if ids := next(t, e); !slices.Equal(ids, []uint16{1, 2, 3}) {
		t.Errorf("%v are named, want as many as there is room for", ids)
	}
	for _, s := range []struct {
		id    uint16
		again bool
		want  Action
	}{{9, false, Drop}, {3, true, Drop}, {10, false, Hold}} {
		if got := sends(e, s.id, s.again); got != s.want {
			t.Errorf("%d, again %t: %v, want %v", s.id, s.again, got, s.want)
		}
	}
	e.Enqueue(11)
	for _, id := range []uint16{1, 2, 3} {
		e.FromClient(Header{Type: TypePuback, Remaining: 2}, binary.BigEndian.AppendUint16(nil, id), 0)
	}
	if ids := next(t, e); !slices.Equal(ids, []uint16{8, 9, 10}) {
		t.Errorf("%v are named, want 8, 9, 10", ids)
	}
	for _, id := range []uint16{8, 9, 10} {
		e.FromClient(Header{Type: TypePuback, Remaining: 2}, binary.BigEndian.AppendUint16(nil, id), 0)
	}
	if ids := next(t, e); !slices.Equal(ids, []uint16{11}) {
		t.Errorf("%v are named, want 11", ids)
	}
	for _, id := range []uint16{9, 12} {
		if got := sends(e, id, false); got != Pass {
			t.Errorf("a new message under %d later: %v", id, got)
		}
	}
}

// Mochi drops some that it has announced. Their identifiers come again.
func TestAMessageThatDoesNotComeIsNotWaitedForForEver(t *testing.T) {
	e := NewExchange(Level5, 65535, 10)
	e.Resending()
	e.Resent(nil, []uint16{5})
	for range 2 {
		for id := uint16(6); id != 5; id++ {
			if id == 0 {
				continue
			}
			sends(e, id, false)
			e.FromClient(Header{Type: TypePuback, Remaining: 2}, binary.BigEndian.AppendUint16(nil, id), 0)
		}
	}
	if got := sends(e, 5, false); got == Drop {
		t.Error("a message was dropped for one that never came")
	}
}

// What Next has named may be gone when the broker looks for it.
func TestAMessageThatIsGoneHoldsNobodyUp(t *testing.T) {
	e := NewExchange(Level5, 3, 10)
	e.Resending()
	e.Resent([]uint16{1, 2}, nil)
	for range 3 {
		_, _, _ = e.Next()
	}
	if got := sends(e, 3, false); got != Pass {
		t.Errorf("a new message: %v", got)
	}
}
