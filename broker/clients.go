package broker

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mqttwarden/registry/peer"
)

// Client is what the broker knows of a client ID that somebody has: the session that
// owns it, connected or stored.
type Client struct {
	ID        string
	User      string // whose it is, as the hook calls it
	Username  string
	Connected bool // false: it is stored
	Protocol  byte // protocol level of MQTT: 3, 4 or 5
	Address   netip.Addr
	Listener  string // empty for a session from before a restart
	KeepAlive time.Duration
	Persists  bool      // the session outlives its connection
	Since     time.Time // of its connection; zero for a session from before a restart
	Left      time.Time // when its connection ended; zero: it is there, or not known
	Expires   time.Time // of a stored session
	Waiting   int       // messages of QoS 1 and 2 that the client has not acknowledged

	Received, Sent Traffic
}

// Traffic counts what came over a connection in one direction: messages, and bytes of
// MQTT, without those of TLS and WebSocket.
type Traffic struct{ Messages, Bytes uint64 }

// ClientSubscription is a filter of a client.
type ClientSubscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
}

// ClientQuery selects clients. The zero value of each field selects all.
type ClientQuery struct {
	ID       string
	Username string
	Address  netip.Addr
	Protocol byte
	State    ClientState
}

// ClientState is what a client that is asked for is doing.
type ClientState byte

// The states of clients.
const (
	AnyState ClientState = iota
	Connected
	Stored
)

// traffic is Traffic while it goes on.
type traffic struct{ messages, bytes atomic.Uint64 }

func (t *traffic) read() Traffic { return Traffic{t.messages.Load(), t.bytes.Load()} }

// Clients returns the clients that q selects, by their IDs, from offset on and at most
// limit, and how many there are in all.
func (b *Broker) Clients(q ClientQuery, offset, limit int) ([]Client, int) {
	found := b.sessions.owners(q)
	found = slices.DeleteFunc(found, func(s *session) bool { return !q.selects(s) })
	slices.SortFunc(found, func(a, b *session) int { return strings.Compare(a.id, b.id) })
	total := len(found)
	page := make([]Client, 0, max(0, min(limit, total-offset)))
	for _, s := range found[min(offset, total):min(offset+limit, total)] {
		page = append(page, b.describe(s))
	}
	return page, total
}

// ClientByID returns the client with an ID and its subscriptions, by their filters. It
// reports false when nobody has the ID.
func (b *Broker) ClientByID(id string) (Client, []ClientSubscription, bool) {
	s := b.sessions.owner(id)
	if s == nil {
		return Client{}, nil, false
	}
	var subs []ClientSubscription
	for _, sub := range s.client.State.Subscriptions.GetAll() {
		subs = append(subs, ClientSubscription{sub.Filter, sub.Qos, sub.NoLocal, sub.RetainAsPublished})
	}
	slices.SortFunc(subs, func(a, b ClientSubscription) int { return strings.Compare(a.Filter, b.Filter) })
	return b.describe(s), subs, true
}

// EndClient ends the connection of the client with an ID, which MQTT 5 is told with
// 0x98, Administrative action, and reason. With drop nothing of its session stays, nor
// of one that is stored, and the ID is free. The will of the client is sent, as always
// when a connection ends without its DISCONNECT [MQTT-3.1.2-8]. It reports false when
// nobody has the ID, or only the session of another user than the one who is named, as
// the hook calls it: the ID may have changed hands since somebody looked.
func (b *Broker) EndClient(ctx context.Context, id, user, reason string, drop bool) bool {
	s := b.sessions.owner(id)
	if s == nil || s.user != user {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.EnforceTimeout)
	defer cancel()
	if drop {
		s.dropped.Store(true)
	}
	if b.sessions.stageOf(s) == connected {
		s.reason.Store(&reason)
		b.disconnect(ctx, s, "an operator ended it: "+reason)
	}
	if drop {
		b.forget(ctx, s)
	}
	return true
}

// describe returns what there is to say of s.
func (b *Broker) describe(s *session) Client {
	c := Client{
		ID: s.id, User: s.user, Username: s.login.Username(),
		Protocol: s.client.Properties.ProtocolVersion, Listener: s.client.Net.Listener,
		Address: peer.Addr(s.guard.remote), KeepAlive: time.Duration(s.client.State.Keepalive) * time.Second,
		Since: s.since, Waiting: s.client.State.Inflight.Len(),
		Received: s.guard.received.read(), Sent: s.guard.sent.read(),
	}
	b.sessions.describe(s, &c)
	return c
}

// selects reports whether q selects s, but for what only sessions know of it.
func (q *ClientQuery) selects(s *session) bool {
	return (q.Username == "" || q.Username == s.login.Username()) &&
		(q.Protocol == 0 || q.Protocol == s.client.Properties.ProtocolVersion) &&
		(!q.Address.IsValid() || q.Address == peer.Addr(s.guard.remote))
}

// owner returns the session that owns a client ID, nil if none does.
func (r *sessions) owner(id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.ids[id]; known != nil {
		return known.owner
	}
	return nil
}

// owners returns the sessions that own their client ID, as far as q tells by ID and
// state which are asked for.
func (r *sessions) owners(q ClientQuery) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.ID != "" {
		if known := r.ids[q.ID]; known != nil && known.owner != nil && q.State.is(known.owner.stage) {
			return []*session{known.owner}
		}
		return nil
	}
	all := make([]*session, 0, len(r.ids))
	for _, known := range r.ids {
		if known.owner != nil && q.State.is(known.owner.stage) {
			all = append(all, known.owner)
		}
	}
	return all
}

func (st ClientState) is(at stage) bool {
	return st == AnyState || st == Connected && at == connected || st == Stored && at == stored
}

// describe adds to c what sessions know of s.
func (r *sessions) describe(s *session, c *Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Connected, c.Persists, c.Left, c.Expires = s.stage == connected, s.persistent, s.left, s.expires
}
