package keep

import (
	"encoding/json"
	"time"

	"mqttwarden/broker/message"
)

// In version 1 of a session, a delayed will stood in the proof, which was JSON.

// proof1 is what of a proof of version 1 was about the will.
type proof1 struct {
	Will    *will1    `json:"will"`
	WillDue time.Time `json:"willDue"`
}

type will1 struct {
	Topic           string `json:"topic"`
	Payload         []byte `json:"payload"`
	QoS             byte   `json:"qos"`
	Retain          bool   `json:"retain"`
	Format          byte   `json:"format"`
	HasFormat       bool   `json:"hasFormat"`
	Expiry          uint32 `json:"expiry"`
	ContentType     string `json:"contentType"`
	ResponseTopic   string `json:"responseTopic"`
	CorrelationData []byte `json:"correlationData"`
	User            []struct {
		Key   string `json:"k"`
		Value string `json:"v"`
	} `json:"user"`
}

// willOfProof returns the will in a proof of version 1, nil if there is none.
func willOfProof(proof []byte) (*message.Message, time.Time) {
	var p proof1
	if json.Unmarshal(proof, &p) != nil || p.Will == nil {
		return nil, time.Time{}
	}
	w := p.Will
	properties := message.Properties{
		ContentType: w.ContentType, ResponseTopic: w.ResponseTopic, CorrelationData: w.CorrelationData,
		HasFormat: w.HasFormat, Format: w.Format,
	}
	for _, u := range w.User {
		properties.User = append(properties.User, message.Property(u))
	}
	return &message.Message{
		Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, ExpiryInterval: w.Expiry,
		Properties: properties.OrNil(),
	}, p.WillDue
}
