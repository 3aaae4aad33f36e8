package frame

import "bytes"

// topicName reads the name of a topic: text of one character at least, without
// wildcards. noWildcard is the clause that forbids them in this place.
func (r *reader) topicName(what string, noWildcard clause) []byte {
	topic := r.text(what)
	if len(topic) == 0 {
		r.fail(codeMalformed, clause{"MQTT-4.7.3-1", "MQTT-4.7.3-1"}, what+" is empty")
	}
	r.noWildcard(topic, what, noWildcard)
	return topic
}

func (r *reader) noWildcard(topic []byte, what string, c clause) {
	if bytes.IndexByte(topic, '+') >= 0 || bytes.IndexByte(topic, '#') >= 0 {
		r.fail(codeMalformed, c, what+" holds a wildcard")
	}
}

// filter reads a topic filter (sections 4.7 and 4.8.2).
func (r *reader) filter() []byte {
	filter := r.text("the topic filter")
	rest := filter
	if isShared(filter) {
		rest = r.shareName(filter)
	}
	if len(rest) == 0 {
		// A shared subscription's filter, too, has a character at least:
		// MQTT-4.8.2-2 wants a topic filter behind the share name.
		r.fail(codeMalformed, clause{"MQTT-4.7.3-1", "MQTT-4.7.3-1"}, "the topic filter is empty")
	}
	r.wildcards(rest)
	return filter
}

// wildcards checks that # is the last level and + a whole one.
func (r *reader) wildcards(filter []byte) {
	for i, c := range filter {
		begins := i == 0 || filter[i-1] == '/'
		last := i == len(filter)-1
		switch {
		case c == '#' && (!begins || !last):
			r.fail(codeMalformed, clause{"MQTT-4.7.1-1", "MQTT-4.7.1-2"}, "the topic filter has # elsewhere than as its last level")
		case c == '+' && (!begins || !last && filter[i+1] != '/'):
			r.fail(codeMalformed, clause{"MQTT-4.7.1-2", "MQTT-4.7.1-3"}, "the topic filter has + as part of a level")
		}
	}
}

// isShared reports whether filter begins with "$share/", compared as the broker
// behind does it: without regard to case, by Unicode's simple folding.
func isShared(filter []byte) bool {
	// Folded, "$share" has six bytes, or seven with U+017F, the long s.
	for _, n := range [...]int{6, 7} {
		if len(filter) > n && filter[n] == '/' {
			return bytes.EqualFold(filter[:n], []byte("$share"))
		}
	}
	return false
}

// shareName checks the share name of a shared subscription and returns the
// filter behind it.
func (r *reader) shareName(filter []byte) []byte {
	_, rest, _ := bytes.Cut(filter, []byte{'/'})
	name, rest, more := bytes.Cut(rest, []byte{'/'})
	switch {
	case len(name) == 0:
		r.fail(codeMalformed, clause{"MQTT-4.8.2-1", "MQTT-4.8.2-1"}, "the shared subscription has no share name")
	case bytes.IndexByte(name, '+') >= 0 || bytes.IndexByte(name, '#') >= 0:
		r.fail(codeMalformed, clause{"MQTT-4.8.2-2", "MQTT-4.8.2-2"}, "the share name holds a wildcard")
	case !more || len(rest) == 0:
		r.fail(codeMalformed, clause{"MQTT-4.8.2-2", "MQTT-4.8.2-2"}, "the shared subscription has no topic filter")
	}
	return rest
}
