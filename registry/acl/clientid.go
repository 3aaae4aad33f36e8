package acl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// clientIDs is the list of client IDs that a user may use.
type clientIDs struct {
	limited  bool       // there is a list, whatever of it is valid
	patterns [][]string // the literal parts of each entry, between its "+"
}

// ValidClientIDPattern reports, as a *SyntaxError, why s may not stand in a
// user's list of client IDs. An entry is the client ID itself, or a pattern of
// one level in which "+" stands for one or more characters other than "/", as
// in "gw-+"; "+" alone is every client ID of one level. In both, ${username}
// stands for the name of the user.
func ValidClientIDPattern(s string) error {
	const what = "client ID"
	rest := strings.ReplaceAll(s, "${username}", "u")
	switch {
	case s == "":
		return syntaxError(what, s, "must not be empty")
	case len(s) > MaxLength:
		return syntaxError(what, s, "must be at most 512 bytes")
	case strings.ContainsRune(s, 0):
		return syntaxError(what, s, "must not hold NUL")
	case !utf8.ValidString(s):
		return syntaxError(what, s, "must be UTF-8")
	case strings.Contains(s, "#"):
		return syntaxError(what, s, `must not hold "#"`)
	case strings.Contains(s, "+") && strings.Contains(s, "/"):
		return syntaxError(what, s, `a pattern with "+" is one level and must not hold "/"`)
	case strings.Contains(rest, "${"):
		return syntaxError(what, s, "the only placeholder is ${username}")
	}
	return nil
}

// compileClientIDs makes the list of a user. Entries that are not valid, or
// stand for a name that no placeholder may stand for, match nothing.
func compileClientIDs(entries []string, user string) clientIDs {
	c := clientIDs{limited: len(entries) > 0}
	for _, e := range entries {
		if ValidClientIDPattern(e) != nil || strings.Contains(e, "${username}") && !usable(user) {
			continue
		}
		parts := strings.Split(e, "+")
		for i := range parts {
			parts[i] = strings.ReplaceAll(parts[i], "${username}", user)
		}
		c.patterns = append(c.patterns, parts)
	}
	return c
}

// cover reports whether the list names id.
func (c *clientIDs) cover(id string) bool {
	for _, parts := range c.patterns {
		if matchParts(parts, id) {
			return true
		}
	}
	return false
}

// matchParts reports whether id is the parts with something between each two of
// them. Each part is looked for as early as it may stand, which never loses a
// match, so id is read once.
func matchParts(parts []string, id string) bool {
	last := len(parts) - 1
	if last == 0 {
		return id == parts[0]
	}
	if strings.Contains(id, "/") || !strings.HasPrefix(id, parts[0]) {
		return false
	}
	id = id[len(parts[0]):]
	for _, part := range parts[1:last] {
		_, one := utf8.DecodeRuneInString(id)
		i := strings.Index(id[one:], part)
		if one == 0 || i < 0 {
			return false
		}
		id = id[one+i+len(part):]
	}
	return len(id) > len(parts[last]) && strings.HasSuffix(id, parts[last])
}

// ExactClientIDs returns the client IDs that a user's list names exactly, each once and
// in order, with the name of the user in place of ${username}. What Policy says of a
// client ID agrees: it may use each of them.
func ExactClientIDs(entries []string, user string) []string {
	var exact []string
	for _, parts := range compileClientIDs(entries, user).patterns {
		if len(parts) == 1 {
			exact = append(exact, parts[0])
		}
	}
	slices.Sort(exact)
	return slices.Compact(exact)
}
