package acl

import (
	"strings"
	"unicode/utf8"
)

// ValidFilter reports, as a *SyntaxError, why s is no filter that anybody may
// subscribe to: MQTT 5, section 4.7, and our limits. A shared filter counts as
// it is written; see Unshared.
func ValidFilter(s string) error {
	return valid("filter", s, filterForm)
}

// ValidTopic reports, as a *SyntaxError, why s is no topic that anybody may
// publish to: MQTT 5, section 4.7, and our limits.
func ValidTopic(s string) error {
	return valid("topic", s, topicForm)
}

func valid(what, s string, f form) error {
	var l levels
	if bad := l.read(f, "", s); bad != fine {
		return syntaxError(what, s, bad.detail())
	}
	return nil
}

// Unshared strips $share/<group>/ from a shared subscription's filter (MQTT 5,
// section 4.8.2), whatever its case: some brokers, ours among them, take $SHARE
// as well. A filter that is not shared is returned as it is. ok is false if a
// shared one is malformed: no group or one with a wildcard, nothing after it,
// or another $share; inner is empty then. inner itself is not checked.
func Unshared(filter string) (inner string, shared, ok bool) {
	first, rest, _ := strings.Cut(filter, "/")
	if !isShare(first) {
		return filter, false, true
	}
	group, inner, _ := strings.Cut(rest, "/")
	next, _, _ := strings.Cut(inner, "/")
	if group == "" || inner == "" || strings.ContainsAny(group, "+#\x00") || // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
		!utf8.ValidString(group) || isShare(next) {
		return "", true, false
	}
	return inner, true, true
}

// isShare reports whether level marks a shared filter. It folds case exactly as
// the broker does, which is more than ASCII.
func isShare(level string) bool {
	return strings.EqualFold(level, "$share")
}

// Matches reports whether filter matches topic (MQTT 5, section 4.7). It is
// false if either is not valid.
func Matches(filter, topic string) bool {
	return ValidTopic(topic) == nil && Covers(filter, topic)
}

// Covers reports whether outer matches every topic that inner, a filter or a
// topic, matches. It is false if either is not valid.
func Covers(outer, inner string) bool {
	o, ok := plainLevels(outer)
	if !ok {
		return false
	}
	in, ok := plainLevels(inner)
	if !ok {
		return false
	}
	if wild(o[0]) && strings.HasPrefix(in[0], "$") {
		return false
	}
	for i, level := range o {
		switch {
		case level == "#":
			return true
		case i == len(in), in[i] == "#":
			return false
		case level != "+" && level != in[i]:
			return false
		}
	}
	return len(in) == len(o)
}

// Overlaps reports whether there is a topic that both a and b match. It is
// false if either is not valid.
func Overlaps(a, b string) bool {
	x, ok := plainLevels(a)
	if !ok {
		return false
	}
	y, ok := plainLevels(b)
	if !ok {
		return false
	}
	if wild(x[0]) && strings.HasPrefix(y[0], "$") || wild(y[0]) && strings.HasPrefix(x[0], "$") {
		return false
	}
	for i := 0; ; i++ {
		switch {
		case i < len(x) && x[i] == "#", i < len(y) && y[i] == "#":
			return true
		case i == len(x), i == len(y):
			return len(x) == len(y)
		case x[i] != y[i] && x[i] != "+" && y[i] != "+":
			return false
		}
	}
}

func wild(level string) bool { return level == "+" || level == "#" }

// plainLevels returns the levels of a valid filter; see spellOutRoot.
func plainLevels(filter string) ([]string, bool) {
	if ValidFilter(filter) != nil {
		return nil, false
	}
	return strings.Split(spellOutRoot(filter), "/"), true
}

// spellOutRoot returns a filter that matches the same topics. The parents of "#"
// and "/#", no level and one empty level, are not topics. With these two written
// as what they match, a filter covers another exactly if it does so level by
// level.
func spellOutRoot(filter string) string {
	switch filter {
	case "#":
		return "+/#"
	case "/#":
		return "/+/#"
	default:
		return filter
	}
}
