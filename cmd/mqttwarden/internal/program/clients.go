package program

import (
	"context"

	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/broker"
	"mqttwarden/registry"
)

// clients is the broker's clients as the API sees them.
type clients struct{ broker *broker.Broker }

// Clients implements v1.Clients.
func (c clients) Clients(q v1.ClientQuery, offset, limit int) ([]v1.Client, int) {
	state := map[string]broker.ClientState{"connected": broker.Connected, "stored": broker.Stored}[q.State]
	found, total := c.broker.Clients(broker.ClientQuery{
		ID: q.ID, Username: q.Username, Address: q.Address, Protocol: q.Protocol, State: state,
	}, offset, limit)
	all := make([]v1.Client, len(found))
	for i, f := range found {
		all[i] = showClient(f)
	}
	return all, total
}

// Client implements v1.Clients.
func (c clients) Client(id string) (v1.Client, []v1.Subscription, bool) {
	found, subs, ok := c.broker.ClientByID(id)
	if !ok {
		return v1.Client{}, nil, false
	}
	all := make([]v1.Subscription, len(subs))
	for i, s := range subs {
		all[i] = v1.Subscription(s)
	}
	return showClient(found), all, true
}

// EndClient implements v1.Clients.
func (c clients) EndClient(ctx context.Context, id string, user registry.UserID, reason string, drop bool) bool {
	return c.broker.EndClient(ctx, id, string(user), reason, drop)
}

func showClient(c broker.Client) v1.Client {
	return v1.Client{
		ID: c.ID, User: registry.UserID(c.User), Username: c.Username, Connected: c.Connected,
		Protocol: c.Protocol, Address: c.Address, Listener: c.Listener, KeepAlive: c.KeepAlive, Persists: c.Persists,
		Since: c.Since, Left: c.Left, Expires: c.Expires, Waiting: c.Waiting,
		Received: v1.Traffic(c.Received), Sent: v1.Traffic(c.Sent),
	}
}
