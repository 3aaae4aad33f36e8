package acl

import (
	"cmp"
	"strings"
)

// kind says what a level of a resource matches.
type kind uint8

const (
	literal  kind = iota // the text of the piece
	plus                 // any one level
	hash                 // all levels that are left, or none
	username             // the user's name
	clientID             // the session's client ID
	certCN               // the common name in the session's certificate
)

// piece is one level of a resource.
type piece struct {
	kind kind
	text string // as written
}

// compare orders pieces so that equal ones are neighbours.
func (l piece) compare(other piece) int {
	return cmp.Or(cmp.Compare(l.kind, other.kind), strings.Compare(l.text, other.text))
}

// parseResource returns the levels of a resource; see spellOutRoot. Its error is
// a *SyntaxError.
func parseResource(c Context, s string) ([]piece, error) {
	const what = "resource"
	if err := valid(what, s, filterForm); err != nil {
		return nil, err
	}
	levels := strings.Split(spellOutRoot(s), "/")
	switch {
	case c == HTTP && s[0] != '/':
		return nil, syntaxError(what, s, `must begin with "/" in the http context`)
	case isShare(levels[0]):
		return nil, syntaxError(what, s, "must be the filter alone, without $share/<group>/")
	}
	pieces := make([]piece, 0, len(levels))
	for _, level := range levels {
		p := piece{text: level}
		switch {
		case p.text == "+":
			p.kind = plus
		case p.text == "#":
			p.kind = hash
		case strings.Contains(p.text, "${"):
			k, detail := placeholder(c, p.text)
			if detail != "" {
				return nil, syntaxError(what, s, detail)
			}
			p.kind = k
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// placeholder returns the kind of a level that holds "${", or what is accepted.
func placeholder(c Context, level string) (k kind, detail string) {
	switch level {
	case "${username}":
		k = username
	case "${clientid}":
		k = clientID
	case "${cert.cn}":
		k = certCN
	default:
		return 0, "a placeholder must be a whole level and one of ${username}, ${clientid}, ${cert.cn}"
	}
	if c != MQTT {
		return 0, "placeholders stand in the mqtt context only"
	}
	return k, ""
}

// usable reports whether a placeholder may stand for value. Names from outside
// must not become wildcards, further levels, or a way into "$" topics; NUL would
// be taken for the end of a text (see key).
func usable(value string) bool {
	return value != "" && value[0] != '$' && !strings.ContainsAny(value, "/+#\x00")
}
