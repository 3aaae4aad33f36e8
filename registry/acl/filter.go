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

// spellOutRoot returns a filter that matches the same topics, such that one filter
// covers another exactly if it does so level by level. "a/#" matches its parent "a",
// too; but the parents of "#" and "/#", which are no level and one empty level, are not
// topics, so that these two match what "+/#" and "/+/#" match.
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
