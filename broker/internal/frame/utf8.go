package frame

import (
	"bytes"
	"unicode/utf8"
)

// text reads a UTF-8 Encoded String (section 1.5.4; 3.1.1: section 1.5.3).
func (r *reader) text(what string) []byte {
	b := r.binary(what)
	fine := r.bad == nil
	switch {
	// MQTT-1.5.4-1: well formed, and no surrogates, which utf8.Valid takes for
	// ill formed, as it does overlong forms.
	case !utf8.Valid(b):
		r.fail(codeMalformed, clause{"MQTT-1.5.4-1", "MQTT-1.5.3-1"}, what+" is not well-formed UTF-8")
	case bytes.IndexByte(b, 0) >= 0:
		r.fail(codeMalformed, clause{"MQTT-1.5.4-2", "MQTT-1.5.3-2"}, what+" holds U+0000")
	case r.controls && hasControl(b):
		r.fail(codeMalformed, clause{"section 1.5.4", "section 1.5.3"}, what+" holds a control or non-character")
	}
	r.badText = fine && r.bad != nil
	return b
}

// hasControl reports whether b holds a code point that text SHOULD NOT hold:
// U+0001 to U+001F, U+007F to U+009F, and those that Unicode calls
// non-characters.
func hasControl(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		switch {
		case c < 0x20, c >= 0x7F && c <= 0x9F:
			return true
		case c >= 0xFDD0 && c <= 0xFDEF, c&0xFFFE == 0xFFFE:
			return true
		}
		b = b[n:]
	}
	return false
}
