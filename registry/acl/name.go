package acl

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// What a name may measure. Brokers do work for each level of a topic or filter
// under a lock, in square time, so deep ones are refused before they get there.
const (
	MaxLevels     = 32  // levels of a resource, a topic with its prefix, a filter, a path
	MaxLength     = 512 // bytes of a resource, a publish prefix or a client ID pattern
	MaxNameLength = 512 // bytes of a topic with its prefix, a filter, a path
)

// form says what the characters of a name mean.
type form uint8

const (
	topicForm  form = iota // no wildcards [MQTT-3.3.2-2]
	filterForm             // "+" and "#" are wildcards [MQTT-4.7.1-1]
	pathForm               // "+" and "#" are characters like others
)

// fault is the rule that a name breaks; the zero value is none.
type fault uint8

const (
	fine fault = iota
	empty
	tooLong
	tooDeep
	holdsNUL
	notUTF8
	holdsWildcard
	plusInLevel
	hashInLevel
	hashNotLast
	badShare
	badPrefix
	noSlash
)

// detail says what is accepted instead.
func (f fault) detail() string {
	switch f {
	case fine:
		return ""
	case empty:
		return "must not be empty"
	case tooLong:
		return "must be at most 512 bytes, with any publish prefix"
	case tooDeep:
		return "must have at most 32 levels, with any publish prefix"
	case holdsNUL:
		return "must not hold NUL"
	case notUTF8:
		return "must be UTF-8"
	case holdsWildcard:
		return `must not hold "+" or "#"`
	case plusInLevel:
		return `"+" must be a level of its own`
	case hashInLevel:
		return `"#" must be a level of its own`
	case hashNotLast:
		return `"#" must be the last level`
	case badShare:
		return "must be $share/<group>/<filter>, where the group is not empty and holds no wildcard"
	case badPrefix:
		return "cannot be published to under a publish prefix that is not valid"
	case noSlash:
		return `must begin with "/"`
	default:
		return "is not valid"
	}
}

// levels is a topic, filter or path taken apart at its slashes. It has its own
// copy of the text, so that a publish prefix can be put in front of a topic on
// the stack.
type levels struct {
	text [MaxNameLength + 8]byte // zero behind size, so that eight bytes can be read anywhere
	size int
	ends [MaxLevels]uint16 // where each level ends in text
	n    int               // the number of levels
	plus uint32            // bit i: level i is the wildcard "+"
	hash uint32            // bit i: level i is the wildcard "#"
}

// read fills an empty l with head and rest together, or says which rule they
// break.
func (l *levels) read(f form, head, rest string) fault {
	if head == "" && rest == "" {
		return empty // [MQTT-4.7.3-1]
	}
	if len(head)+len(rest) > MaxNameLength {
		return tooLong
	}
	l.size = copy(l.text[:], head)
	l.size += copy(l.text[l.size:], rest)
	var start, i int
	var seen uint64
	for ; i < l.size; i += 8 {
		eight := binary.LittleEndian.Uint64(l.text[i:])
		seen |= eight
		for marks := punctuation(eight); marks != 0; marks &= marks - 1 {
			at := i + bits.TrailingZeros64(marks)/8
			if at >= l.size {
				break
			}
			switch c := l.text[at]; c {
			case '/':
				if l.n == MaxLevels-1 {
					return tooDeep
				}
				l.ends[l.n] = uint16(at) // #nosec G115 -- at most MaxNameLength
				l.n++
				start = at + 1
			case '+', '#':
				if f == pathForm {
					break
				}
				if bad := l.wildcard(f, start, at); bad != fine {
					return bad
				}
			case 0:
				return holdsNUL // [MQTT-4.7.3-2]
			}
		}
	}
	l.ends[l.n] = uint16(l.size) // #nosec G115 -- at most MaxNameLength
	l.n++
	if seen&highBits != 0 && !utf8.Valid(l.text[:l.size]) {
		return notUTF8 // [MQTT-1.5.4-1]
	}
	return fine
}

// wildcard notes the wildcard at text[at] in the level from start, or says what
// is wrong with it.
func (l *levels) wildcard(f form, start, at int) fault {
	last := at+1 == l.size
	alone := at == start && (last || l.text[at+1] == '/')
	switch plus := l.text[at] == '+'; {
	case f == topicForm:
		return holdsWildcard // [MQTT-3.3.2-2]
	case plus && !alone:
		return plusInLevel // [MQTT-4.7.1-2]
	case plus:
		l.plus |= 1 << l.n
	case !alone:
		return hashInLevel // [MQTT-4.7.1-1]
	case !last:
		return hashNotLast // [MQTT-4.7.1-1]
	default:
		l.hash |= 1 << l.n
	}
	return fine
}

// What each of eight bytes holds.
const (
	ones     = 0x0101010101010101
	lowBits  = 0x7f * ones
	highBits = 0x80 * ones
)

// punctuation returns the high bit of each of eight bytes that is '/', '+' or
// not above '#'; letters, digits and what is usual between them are not.
func punctuation(eight uint64) uint64 {
	const above = (0x80 - '#' - 1) * ones // carries what is above '#' into the high bit
	other := (eight | ('/'^'+')*ones) ^ '/'*ones
	other = other&lowBits + lowBits | other // has the high bit unless the byte is '/' or '+'
	return ^((eight&lowBits + above | eight) & other) & highBits
}

// kind returns what the level at depth is: literal, plus or hash.
func (l *levels) kind(depth int) kind {
	switch {
	case (l.plus|l.hash)>>depth&1 == 0:
		return literal
	case l.plus>>depth&1 != 0:
		return plus
	default:
		return hash
	}
}

// span returns where the level at depth stands in the text.
func (l *levels) span(depth int) (start, end int) {
	if depth > 0 {
		start = int(l.ends[depth-1]) + 1
	}
	return start, int(l.ends[depth])
}
