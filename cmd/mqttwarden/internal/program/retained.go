package program

import (
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/broker"
)

// retained is the broker's retained messages as the API sees them.
type retained struct{ *broker.Broker }

// Retained implements v1.Retained.
func (r retained) Retained(filter string, may func(topic string) bool, offset, limit int) ([]v1.RetainedMessage, int) {
	found, total := r.Broker.Retained(filter, may, offset, limit)
	messages := make([]v1.RetainedMessage, len(found))
	for i, m := range found {
		messages[i] = v1.RetainedMessage(m)
	}
	return messages, total
}
