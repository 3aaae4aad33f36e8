// Package request collects what is known of one HTTP request: who sent it, from
// where, which API and which route it is for, what went wrong. Handlers fill it in,
// and the access log writes it in one line at the end. Failures are answered here,
// too, in the dialect of the API.
package request

import (
	"context"
	"net/netip"
)

// Info is what is known of a request so far. It holds no secret, and neither the
// path nor the query as they were sent: only the pattern of the route.
type Info struct {
	ID      string     // made here; also in the answer, as X-Request-Id
	Remote  netip.Addr // of the client, past proxies that are trusted
	Dialect Dialect    // of the API that it is for; nil: it is for none
	Route   string     // the pattern that matched; empty: none did
	User    string     // who has signed in; empty: nobody
	Cause   error      // why the answer is a failure of ours; for the log only
}

// Door returns the name of the API that the request is for, as logs have it.
func (i *Info) Door() string { return i.dialect().Door() }

func (i *Info) dialect() Dialect {
	if i.Dialect == nil {
		return noDialect{}
	}
	return i.Dialect
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
