package framing

// inChunked judges what stands between the chunks of a body (RFC 9112, section 7.1).
func (s *scanner) inChunked(c byte) verdict {
	switch s.state {
	case chunkSize:
		return s.inSize(c)
	case chunkExt:
		if c == '\r' {
			s.state = chunkSizeEnd
		}
		return unless(c == '\n')
	case chunkSizeEnd:
		s.state = chunk
		if s.left == 0 {
			s.state = trailerStart
		}
		return unless(c != '\n')
	case chunkEnd:
		s.state = chunkEndLF
		return unless(c != '\r')
	default:
		s.begin(chunkSize)
		return unless(c != '\n')
	}
}

func (s *scanner) inSize(c byte) verdict {
	digit, ok := hex(c)
	switch {
	case ok && len(s.word) < mostHex:
		s.add(c)
		s.digits = true
		s.length = s.length<<4 | digit
		return pass
	case !s.digits:
		return refuse
	}
	s.left = s.length
	switch c {
	case '\r':
		s.state = chunkSizeEnd
	case ';', ' ', '\t':
		s.state = chunkExt
	default:
		return refuse
	}
	return pass
}

// inTrailer judges what follows the last chunk.
func (s *scanner) inTrailer(c byte) verdict {
	switch s.state {
	case trailerStart:
		s.state = trailer
		if c == '\r' {
			s.state = lastLine
		}
		return unless(c == '\n')
	case trailer:
		if c == '\r' {
			s.state = trailerEnd
		}
		return unless(c == '\n')
	case trailerEnd:
		s.state = trailerStart
		return unless(c != '\n')
	default:
		s.state = start
		return unless(c != '\n')
	}
}

// unless refuses what is wrong.
func unless(wrong bool) verdict {
	if wrong {
		return refuse
	}
	return pass
}

func hex(c byte) (digit uint64, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10, true
	default:
		return 0, false
	}
}
