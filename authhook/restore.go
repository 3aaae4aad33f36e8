package authhook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// kept is what is written down of a session for the time after a restart. Nothing
// in it is believed then: it is judged by what is registered.
type kept struct {
	Username    string    `json:"username"`
	PasswordSet time.Time `json:"passwordSet,omitzero"`
	Certificate string    `json:"certificate,omitempty"`
	CommonName  string    `json:"commonName,omitempty"`
	Trusted     bool      `json:"trusted,omitempty"`
	Anchor      string    `json:"anchor,omitempty"`
	Token       string    `json:"token,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`

	Will    *keptWill `json:"will,omitempty"` // one that is held back
	WillDue time.Time `json:"willDue,omitzero"`
}

// keptWill is a will, with what MQTT 5 has for it.
type keptWill struct {
	Topic           string                 `json:"topic"`
	Payload         []byte                 `json:"payload,omitempty"`
	QoS             byte                   `json:"qos,omitempty"`
	Retain          bool                   `json:"retain,omitempty"`
	Format          byte                   `json:"format,omitempty"`
	HasFormat       bool                   `json:"hasFormat,omitempty"`
	Expiry          uint32                 `json:"expiry,omitempty"`
	ContentType     string                 `json:"contentType,omitempty"`
	ResponseTopic   string                 `json:"responseTopic,omitempty"`
	CorrelationData []byte                 `json:"correlationData,omitempty"`
	User            []packets.UserProperty `json:"user,omitempty"`
}

func keep(pf *registry.Proof) kept {
	return kept{
		Username: pf.Username, PasswordSet: pf.PasswordSet, Certificate: pf.Certificate, CommonName: pf.CommonName,
		Trusted: pf.Trusted, Anchor: pf.Anchor, Token: string(pf.Token), Expires: pf.Expires,
	}
}

func (k *kept) proof() registry.Proof {
	return registry.Proof{
		Username: k.Username, PasswordSet: k.PasswordSet, Certificate: k.Certificate, CommonName: k.CommonName,
		Trusted: k.Trusted, Anchor: k.Anchor, Token: registry.TokenID(k.Token), Expires: k.Expires,
	}
}

func keepWill(w *will) *keptWill {
	from := &w.message.Properties
	return &keptWill{
		Topic: w.topic, Payload: w.message.Payload,
		QoS: w.message.FixedHeader.Qos, Retain: w.message.FixedHeader.Retain,
		Format: from.PayloadFormat, HasFormat: from.PayloadFormatFlag, Expiry: from.MessageExpiryInterval,
		ContentType: from.ContentType, ResponseTopic: from.ResponseTopic, CorrelationData: from.CorrelationData,
		User: from.User,
	}
}

func (k *keptWill) will() *will {
	return &will{topic: k.Topic, message: packets.Packet{
		FixedHeader: packets.FixedHeader{Qos: k.QoS, Retain: k.Retain},
		Payload:     k.Payload,
		Properties: packets.Properties{
			PayloadFormat: k.Format, PayloadFormatFlag: k.HasFormat, MessageExpiryInterval: k.Expiry,
			ContentType: k.ContentType, ResponseTopic: k.ResponseTopic, CorrelationData: k.CorrelationData,
			User: k.User,
		},
	}}
}

// Owner returns whose session a client is, by id, and what Restore wants to know
// of that after a restart.
func (h *Hook) Owner(cl *mqtt.Client) (user string, owner []byte) {
	s := sessionOf(cl)
	if s == nil {
		return "", nil
	}
	return string(s.user), encode(keep(&s.proof))
}

func encode(k kept) []byte {
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // it has nothing that could fail
	}
	return b
}

// store has the broker keep a stored session, as it is now, over a restart.
func (h *Hook) store(s *session) {
	stays, held, due, ok := h.sessions.waiting(s)
	if !ok {
		return
	}
	k := keep(&s.proof)
	if held != nil {
		k.Will, k.WillDue = keepWill(held), due
	}
	h.host.Store(s.client, encode(k), stays)
}

// Restore makes the session of a client from before a restart, which ends at
// until, a stored session of its user as any other. It reports false if the user
// is gone or could not open it again now: nothing of it may stay then. What it is
// not allowed to read any more is taken from it. An error means that the register
// can't be asked.
//
// The broker asks before it serves, with all of the session in place.
func (h *Hook) Restore(cl *mqtt.Client, user string, owner []byte, until time.Time) (bool, error) {
	conn, ok := cl.Net.Conn.(Conn)
	var k kept
	if !ok || json.Unmarshal(owner, &k) != nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.SignInTimeout)
	defer cancel()
	login, err := h.cfg.SignIn.Recall(ctx, registry.UserID(user), k.proof())
	if errors.Is(err, registry.NotFound) {
		h.log.Info("session not restored", "client", printable(cl.ID), "user", printable(k.Username), "reason", "no such user")
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s := newSession(conn, cl, &packets.Packet{}, login)
	if k.Will != nil {
		s.held, s.heldTill = k.Will.will(), k.WillDue
	}
	close(s.settled)
	close(s.done)
	cl.Net.Conn = s
	cl.Properties.Username = []byte(k.Username)
	h.sessions.restore(s, until)
	// From here on every change of the user comes to the session. Those that
	// came before are in what it is judged by now.
	if why, certain := h.objection(ctx, s, s.subject.Principal()); why != "" && certain {
		h.log.Info("session not restored", "client", printable(s.id), "user", printable(k.Username), "reason", why)
		s.over.Store(true)
		h.forget(ctx, s)
		return false, nil
	}
	h.host.Prune(cl, s.mayRead)
	return true, nil
}
