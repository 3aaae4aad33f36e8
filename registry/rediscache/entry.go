package rediscache

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"mqttwarden/registry"
)

// A value in Redis is
//
//	format    1 digit
//	number    20 digits
//	line      20 digits
//	as of     20 digits, Unix time in nanoseconds
//	mark      20 digits, of the line number
//	pointer   64 hex digits, of a reference only: the end of the key of the record
//	body      sealed: a letter for its kind, then its content
//
// The first five are its header. They are plain so that a script in Redis can
// compare them, decimal and of fixed width so that it can compare them as
// strings (its numbers are doubles, and its locale may order other characters
// in its own way). So is the pointer, so that another script can follow it; the id in
// the body proves it. The body is bound to key, store, epoch and all in front of it.
const (
	format    = "5"
	digits    = 20
	headerLen = len(format) + 4*digits
	macLen    = 64 // of a MAC in hex

	// maxValue bounds what is read from and written to Redis at once, in bytes.
	maxValue = 4 << 20
)

// The kinds of bodies.
const (
	kindRecord    = 'r' // a record as JSON
	kindGone      = 'g' // nothing: the user is gone since change number
	kindReference = 'i' // a user id
)

// header returns the stamp as it stands in front of a value.
func (s stamp) header() string {
	return fmt.Sprintf("%s%0*d%0*d%0*d%0*d", format,
		digits, s.number, digits, s.line.Number, digits, max(s.asOf.UnixNano(), 0), digits, s.line.Mark)
}

// parseHeader returns the stamp in front of value.
func parseHeader(value []byte) (s stamp, ok bool) {
	if len(value) < headerLen || string(value[:len(format)]) != format {
		return stamp{}, false
	}
	field := func(i int) (uint64, error) { // takes digits only
		return strconv.ParseUint(string(value[len(format)+i*digits:][:digits]), 10, 64)
	}
	number, errN := field(0)
	line, errL := field(1)
	asOf, errA := field(2)
	mark, errM := field(3)
	if errN != nil || errL != nil || errA != nil || errM != nil || asOf > math.MaxInt64 {
		return stamp{}, false
	}
	return stamp{number, registry.Position{Number: line, Mark: mark}, time.Unix(0, int64(asOf)).UTC()}, true
}

// headerOf returns what stands where value's header belongs, whatever it is.
func headerOf(value []byte) string { return string(value[:min(len(value), headerLen)]) }

// sealed returns the value for key.
func (c *Cache) sealed(key string, s stamp, kind byte, content []byte) ([]byte, error) {
	front := s.header()
	if kind == kindReference {
		front += c.keys.pointer(registry.UserID(content))
	}
	body := append(append(make([]byte, 0, 1+len(content)), kind), content...)
	box, err := c.cfg.Seal.Seal(purpose, body, key, c.keys.store, c.keys.epoch, front)
	if err != nil {
		return nil, err
	}
	return append(append(make([]byte, 0, len(front)+len(box)), front...), box...), nil
}

// opened returns what is in the value that stood at key, or why that can't be
// told. Whether it is old news is not its question.
func (c *Cache) opened(key string, value []byte) (s stamp, kind byte, content []byte, why Reason) {
	s, ok := parseHeader(value)
	if !ok || len(value) > maxValue {
		return stamp{}, 0, nil, Malformed
	}
	front := min(headerLen+c.keys.pointerLen(key), len(value))
	body, err := c.cfg.Seal.Open(purpose, value[front:], key, c.keys.store, c.keys.epoch, string(value[:front]))
	if err != nil {
		return stamp{}, 0, nil, Forged
	}
	if len(body) == 0 {
		return stamp{}, 0, nil, Malformed
	}
	return s, body[0], body[1:], ""
}
