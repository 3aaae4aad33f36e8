// Package request knows what is known of one HTTP request: who sent it, from
// where, which route took it, what went wrong. Handlers fill it in as they learn
// it, and one line of the access log tells it at the end.
package request

import (
	"context"
	"net/netip"
)

// Info is what is known of a request so far. It holds no secret, and neither the
// path nor the query as they were sent: only the pattern of the route.
type Info struct {
	ID     string     // made here; also in the answer, as X-Request-Id
	Remote netip.Addr // of the client, past proxies that are trusted
	Route  string     // the pattern that matched; empty: none did
	User   string     // who has signed in; empty: nobody
	Cause  error      // why the answer is a failure of ours; for the log only
}

type key struct{}

// From returns what is known of the request of ctx. Outside of a request it
// returns an Info that nobody else sees.
func From(ctx context.Context) *Info {
	if info, ok := ctx.Value(key{}).(*Info); ok {
		return info
	}
	return &Info{}
}

// With returns a context that carries info.
func With(ctx context.Context, info *Info) context.Context {
	return context.WithValue(ctx, key{}, info)
}
