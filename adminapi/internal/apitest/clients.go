package apitest

import (
	"context"

	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

// Clients stands in for the broker's clients.
type Clients struct {
	All           []v1.Client
	Subscriptions []v1.Subscription // of each
	Asked         v1.ClientQuery    // the latest
	Ended         []EndedClient
}

// EndedClient is what EndClient was asked for.
type EndedClient struct {
	ID     string
	User   registry.UserID
	Reason string
	Drop   bool
}

// Clients implements v1.Clients. It selects by ID only.
func (c *Clients) Clients(q v1.ClientQuery, offset, limit int) ([]v1.Client, int) {
	c.Asked = q
	var found []v1.Client
	for _, one := range c.All {
		if q.ID == "" || q.ID == one.ID {
			found = append(found, one)
		}
	}
	total := len(found)
	found = found[min(offset, total):]
	return found[:min(limit, len(found))], total
}

// Client implements v1.Clients.
func (c *Clients) Client(id string) (v1.Client, []v1.Subscription, bool) {
	for _, one := range c.All {
		if one.ID == id {
			return one, c.Subscriptions, true
		}
	}
	return v1.Client{}, nil, false
}

// EndClient implements v1.Clients. Nothing ends.
func (c *Clients) EndClient(_ context.Context, id string, user registry.UserID, reason string, drop bool) bool {
	c.Ended = append(c.Ended, EndedClient{id, user, reason, drop})
	_, _, ok := c.Client(id)
	return ok
}
