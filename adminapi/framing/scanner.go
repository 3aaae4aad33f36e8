package framing

import (
	"bytes"
	"strings"
)

// scanner follows the requests in what comes over a connection, in pieces of any size.
type scanner struct {
	state  state
	spaces int    // seen in the request line
	word   []byte // the version, the name of a field, or a number, as far as it has come
	old    bool   // HTTP/1.0

	chunked, sized bool
	digits         bool   // of a size, have been seen
	left           uint64 // bytes of the body, or of the chunk, that are to come
	length         uint64 // as the field says that is being read
}

// state is what the next byte belongs to.
type state int

const (
	start        state = iota // what may stand before a request line
	requestLine               //
	lineStart                 // of a field, or the empty line
	emptyLine                 // after its CR
	name                      // of a field
	value                     // of a field that does not matter
	length                    // the value of Content-Length
	lengthEnd                 // white space after it
	body                      // of a known size
	chunkSize                 //
	chunkExt                  // what follows the size
	chunkSizeEnd              // after its CR
	chunk                     //
	chunkEnd                  // the CR after a chunk
	chunkEndLF                //
	trailerStart              // of a line after the last chunk
	trailer                   // such a line
	trailerEnd                // after its CR
	lastLine                  // after the CR of the empty line
)

// Longest words that are looked at. What is longer is none of those that matter.
const (
	longestWord = 32
	mostDigits  = 18 // of Content-Length; fit in 63 bits
	mostHex     = 15 // of the size of a chunk
)

// verdict says what becomes of a byte.
type verdict int

const (
	pass       verdict = iota
	refuse             // it, and all that follows
	noRequest          // pass it, and nothing that follows: another version of HTTP
	spoilStart         // refuse it at the start of a line
)

// scan returns how many of the bytes pass. If not all do, or the verdict is not pass,
// nothing more does.
func (s *scanner) scan(b []byte) (n int, v verdict) {
	for n < len(b) {
		if s.state == body || s.state == chunk {
			n += s.skip(len(b) - n)
			continue
		}
		if s.state == value { // most of what there is
			if n += untilLF(b[n:]); n == len(b) {
				break
			}
		}
		switch v := s.next(b[n]); v {
		case pass:
			n++
		case noRequest:
			return n + 1, v
		default:
			return n, v
		}
	}
	return n, pass
}

// untilLF returns how many bytes stand before the end of the line.
func untilLF(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i
	}
	return len(b)
}

// skip passes up to n bytes of a body.
func (s *scanner) skip(n int) int {
	take := min(s.left, uint64(n)) // #nosec G115 -- the rest of a slice
	s.left -= take
	switch {
	case s.left > 0:
	case s.state == body:
		s.state = start
	default:
		s.state = chunkEnd
	}
	return int(take) // #nosec G115 -- at most n
}

// next judges a byte outside of bodies.
func (s *scanner) next(c byte) verdict {
	switch s.state {
	case start, requestLine:
		return s.inRequestLine(c)
	case lineStart, emptyLine, name, value, length, lengthEnd:
		return s.inHead(c)
	case chunkSize, chunkExt, chunkSizeEnd, chunkEnd, chunkEndLF:
		return s.inChunked(c)
	default:
		return s.inTrailer(c)
	}
}

// add keeps a byte of a word that may matter.
func (s *scanner) add(c byte) {
	if len(s.word) < longestWord {
		s.word = append(s.word, c)
	}
}

// begin goes to a state in which a new word is read.
func (s *scanner) begin(next state) verdict {
	s.state, s.word, s.digits, s.length = next, s.word[:0], false, 0
	return pass
}

func (s *scanner) inRequestLine(c byte) verdict {
	switch {
	case s.state == start && (c == '\r' || c == '\n'):
		return pass
	case s.state == start:
		s.chunked, s.sized, s.old, s.spaces, s.left = false, false, false, 0, 0
		s.begin(requestLine)
	}
	switch {
	case c == '\n':
		return s.version()
	case s.spaces == 2:
		s.add(c)
	case c == ' ':
		s.spaces++
	}
	return pass
}

// version ends a request line. Net/http answers those of other versions of HTTP.
func (s *scanner) version() verdict {
	switch string(bytes.TrimSuffix(s.word, []byte("\r"))) {
	case "HTTP/1.0":
		s.old = true
	case "HTTP/1.1":
	default:
		return noRequest
	}
	return s.begin(lineStart)
}

func (s *scanner) inHead(c byte) verdict {
	switch s.state {
	case lineStart:
		return s.atLineStart(c)
	case emptyLine:
		if c != '\n' {
			return refuse
		}
		return s.headEnds()
	case name:
		return s.inName(c)
	case value: // at the LF, see scan
		return s.begin(lineStart)
	default:
		return s.inLength(c)
	}
}

func (s *scanner) atLineStart(c byte) verdict {
	switch c {
	case ' ', '\t':
		return spoilStart // a folded line (RFC 9112, section 5.2)
	case '\r':
		s.state = emptyLine
		return pass
	case '\n':
		return s.headEnds()
	default:
		s.begin(name)
		return s.inName(c)
	}
}

func (s *scanner) inName(c byte) verdict {
	switch c {
	case '\n':
		return refuse // no field
	case ':':
		return s.field()
	default:
		s.add(c)
		return pass
	}
}

// field judges a field by its name.
func (s *scanner) field() verdict {
	switch {
	case strings.EqualFold(string(s.word), "Content-Length"):
		if s.chunked {
			return refuse
		}
		return s.begin(length)
	case strings.EqualFold(string(s.word), "Transfer-Encoding"):
		if s.sized || s.old {
			return refuse
		}
		s.chunked = true // net/http refuses every other coding
	}
	return s.begin(value)
}

func (s *scanner) inLength(c byte) verdict {
	blank := c == ' ' || c == '\t' || c == '\r'
	switch {
	case c == '\n':
		return s.lengthEnds()
	case blank && s.digits:
		s.state = lengthEnd
		return pass
	case blank:
		return pass
	case c < '0' || c > '9' || s.state == lengthEnd || len(s.word) >= mostDigits:
		return refuse
	}
	s.add(c)
	s.digits = true
	s.length = s.length*10 + uint64(c-'0')
	return pass
}

func (s *scanner) lengthEnds() verdict {
	if !s.digits || s.sized && s.length != s.left {
		return refuse
	}
	s.sized, s.left = true, s.length
	return s.begin(lineStart)
}

func (s *scanner) headEnds() verdict {
	switch {
	case s.chunked:
		return s.begin(chunkSize)
	case s.left > 0:
		s.state = body
	default:
		s.state = start
	}
	return pass
}
