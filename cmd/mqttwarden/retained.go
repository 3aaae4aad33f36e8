package main

import (
	"log/slog"

	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/broker"
	"mqttwarden/registry"
)

// retained is the broker's retained messages as the API sees them. Who clears any
// is logged.
type retained struct {
	broker *broker.Broker
	log    *slog.Logger
}

// Retained implements v1.Retained.
func (r retained) Retained(filter string, offset, limit int) ([]v1.RetainedMessage, int) {
	found, total := r.broker.Retained(filter, offset, limit)
	messages := make([]v1.RetainedMessage, len(found))
	for i, m := range found {
		messages[i] = v1.RetainedMessage(m)
	}
	return messages, total
}

// Clear implements v1.Retained.
func (r retained) Clear(by registry.Caller, topic string) bool {
	ok := r.broker.ClearRetained(topic)
	if ok {
		r.log.Info("a retained message was cleared", "by", by.Username, "remote", by.Remote.String(), "topic", topic)
	}
	return ok
}

// ClearAll implements v1.Retained.
func (r retained) ClearAll(by registry.Caller, filter string) int {
	n := r.broker.ClearAllRetained(filter)
	r.log.Info("retained messages were cleared", "by", by.Username, "remote", by.Remote.String(), "filter", filter, "messages", n)
	return n
}
