package acl

import "strings"

// query is a question as the tries of a policy read it. It lives on the stack:
// a decision allocates nothing.
type query struct {
	levels
	user   *value // what ${username} stands for
	names  *Names
	keys   [MaxLevels]key // of the levels
	dollar bool           // the first level begins with "$", so no wildcard takes it
	anyone bool           // what placeholders stand for is not known: it may be any level
}

// askRead makes q the question about a topic or filter, or says what is wrong
// with it.
func (q *query) askRead(name string) fault {
	if strings.HasPrefix(name, "$") {
		if len(name) > MaxNameLength {
			return tooLong
		}
		inner, _, ok := Unshared(name)
		if !ok {
			return badShare
		}
		name = inner
	}
	return q.ask(filterForm, "", spellOutRoot(name))
}

// askPublish makes q the question about a topic behind the publish prefix, or
// says what is wrong with it.
func (q *query) askPublish(pre *prefix, topic string) fault {
	switch {
	case topic == "":
		return empty // the prefix alone is not what the client sent
	case pre.bad:
		return badPrefix
	}
	return q.ask(topicForm, pre.text, topic)
}

// askPath makes q the question about a path, or says what is wrong with it.
func (q *query) askPath(path string) fault {
	if path != "" && path[0] != '/' {
		return noSlash
	}
	return q.ask(pathForm, "", path)
}

// askResource makes q the question about all that a resource may come to match:
// its placeholders may stand for any level.
func (q *query) askResource(resource []piece) fault {
	filter := make([]string, len(resource))
	for i, l := range resource {
		filter[i] = l.text
		if l.kind != literal && l.kind != hash {
			filter[i] = "+"
		}
	}
	return q.ask(filterForm, "", strings.Join(filter, "/"))
}

// ask makes q the question about head and rest together, or says what is wrong
// with it.
func (q *query) ask(f form, head, rest string) fault {
	if bad := q.read(f, head, rest); bad != fine {
		return bad
	}
	q.dollar = q.text[0] == '$'
	start := 0
	for i, end := range q.ends[:q.n] {
		if size := int(end) - start; size <= shortLength {
			q.keys[i] = shortKey(q.text[start:], size)
		} else {
			q.keys[i] = longKey(q.text[start:], size)
		}
		start = int(end) + 1
	}
	return fine
}

// spells reports whether the literal level at depth is text.
func (q *query) spells(depth int, text string) bool {
	start, end := q.span(depth)
	return string(q.text[start:end]) == text
}

// isUser reports whether ${username} may take the level at depth.
func (q *query) isUser(depth int) bool {
	return q.user.live && (q.kind(depth) != literal || q.spells(depth, q.user.text))
}

// mayBe reports whether a placeholder that stands for v may take the level at
// depth.
func (q *query) mayBe(depth int, v *value) bool {
	switch {
	case q.anyone:
		return depth > 0 || !q.dollar
	case !v.live:
		return false
	default:
		return q.kind(depth) != literal || q.spells(depth, v.text)
	}
}
