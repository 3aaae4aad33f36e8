package rediscache

import "mqttwarden/registry"

// line remembers the marks of the last changes, one after the other, so that what
// was read from another history of the store is told from what was read from this
// one. A store that was put back to an earlier state gives its numbers out again.
type line struct {
	limit int
	first uint64   // the number of marks[0]
	marks []uint64 // empty: nothing is known but the beginning
}

// end returns the last place, the beginning when nothing is known.
func (l *line) end() registry.Position {
	if len(l.marks) == 0 {
		return registry.Position{}
	}
	return registry.Position{Number: l.first + uint64(len(l.marks)) - 1, Mark: l.marks[len(l.marks)-1]}
}

// add appends a place. One that is not past the end is known, or comes too late;
// behind a gap the line begins anew.
func (l *line) add(p registry.Position) {
	end := l.end().Number
	switch {
	case p.Number <= end:
		return
	case len(l.marks) > 0 && p.Number == end+1:
	default:
		l.first, l.marks = p.Number, l.marks[:0]
	}
	if l.marks = append(l.marks, p.Mark); len(l.marks) >= 2*l.limit {
		cut := len(l.marks) - l.limit
		l.first += uint64(cut) // #nosec G115 -- a length
		l.marks = l.marks[:copy(l.marks, l.marks[cut:])]
	}
}

// then returns the line that goes on with later.
func (l *line) then(later line) line {
	for i, mark := range later.marks {
		l.add(registry.Position{Number: later.first + uint64(i), Mark: mark})
	}
	return *l
}

// at returns the place of number n, the end if n lies past it, and false if n is
// not known any more.
func (l *line) at(n uint64) (registry.Position, bool) {
	switch end := l.end(); {
	case n >= end.Number:
		return end, true
	case n < l.first:
		return registry.Position{}, false
	}
	return registry.Position{Number: n, Mark: l.marks[n-l.first]}, true
}

// holds returns why an entry that was read at p can't be known to be of this
// history, "" if it is.
func (l *line) holds(p registry.Position) Reason {
	switch end := l.end(); {
	case p == registry.Position{}: // where every history begins
		return ""
	case p.Number > end.Number:
		return Ahead
	case p.Number < l.first:
		return Forgotten
	case l.marks[p.Number-l.first] != p.Mark:
		return Lost
	}
	return ""
}
