package apitest

import (
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry/acl"
)

// Retained stands in for the broker's retained messages.
type Retained struct {
	Messages []v1.RetainedMessage
	Cleared  []string // the filters and topics that were
}

// Retained implements v1.Retained.
func (r *Retained) Retained(filter string, may func(string) bool, offset, limit int) ([]v1.RetainedMessage, int) {
	// A policy with this one grant lets those topics be read that the filter matches.
	policy := acl.Compile(acl.Source{Grants: []acl.Grant{{Context: acl.MQTT, Operation: acl.Read, Resource: filter}}})
	var found []v1.RetainedMessage
	for _, m := range r.Messages {
		if policy.MayRead(nil, m.Topic) && may(m.Topic) {
			found = append(found, m)
		}
	}
	total := len(found)
	found = found[min(offset, total):]
	return found[:min(limit, len(found))], total
}

// ClearRetained implements v1.Retained. Nothing is removed.
func (r *Retained) ClearRetained(topic string) bool {
	return r.ClearAllRetained(topic, func(string) bool { return true }) > 0
}

// ClearAllRetained implements v1.Retained. Nothing is removed.
func (r *Retained) ClearAllRetained(filter string, may func(string) bool) int {
	r.Cleared = append(r.Cleared, filter)
	_, total := r.Retained(filter, may, 0, 0)
	return total
}
