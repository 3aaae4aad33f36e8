package frame

import (
	"cmp"
	"slices"
)

// stage is how far the exchange of one message has come (section 4.3).
type stage uint8

const (
	awaitPuback  stage = iota + 1 // a QoS 1 PUBLISH has gone, PUBACK has to come back
	awaitPubrec                   // a QoS 2 PUBLISH has gone, PUBREC has to come back
	owePubrel                     // PUBREC has come back, PUBREL has to follow
	awaitPubrel                   // PUBREC has gone, PUBREL has to come
	awaitPubcomp                  // PUBREL has gone, PUBCOMP has to come back
)

// flight is one message whose exchange is not complete.
type flight struct {
	id      uint16
	stage   stage
	counted bool // it takes one of the Receive Maximum of its receiver
}

// flights are the open exchanges of one direction, four bytes each, sorted by
// packet identifier. Identifiers are given out in turn, so a new one goes to the
// end and an old one leaves from the front.
type flights struct {
	list    []flight
	counted int // how many are
}

// spare is how many exchanges an earlier connection may have left open beyond
// those that count. It is what bounds them, so that nobody can make an
// Exchange remember all identifiers there are.
const spare = 1024

// find returns the exchange of id, or nil. The pointer is good until the next
// add or remove.
func (f *flights) find(id uint16) *flight {
	if i, ok := f.search(id); ok {
		return &f.list[i]
	}
	return nil
}

func (f *flights) search(id uint16) (int, bool) {
	if n := len(f.list); n == 0 || id > f.list[n-1].id {
		return n, false
	}
	return slices.BinarySearchFunc(f.list, id, func(e flight, id uint16) int { return cmp.Compare(e.id, id) })
}

// add opens the exchange of id, which is not open.
func (f *flights) add(id uint16, s stage, counted bool) {
	i, _ := f.search(id)
	f.list = slices.Insert(f.list, i, flight{id: id, stage: s, counted: counted})
	if counted {
		f.counted++
	}
}

// remove closes the exchange of id, if it is open, and reports whether that
// makes room for another that counts.
func (f *flights) remove(id uint16) (freed bool) {
	i, ok := f.search(id)
	if !ok {
		return false
	}
	freed = f.list[i].counted
	if freed {
		f.counted--
	}
	f.list = slices.Delete(f.list, i, i+1)
	if len(f.list) == 0 && cap(f.list) > 64 {
		f.list = nil // the memory of a burst is not kept
	}
	return freed
}
