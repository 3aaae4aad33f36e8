// Package flight lets those who ask for the same thing at once wait for one answer.
package flight

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
)

// Group is the questions of one kind that are under way. The zero value is ready.
type Group[V any] struct{ under singleflight.Group }

// Do returns the answer to a question, which is asked once for all who want it at the
// same time. It is asked under a context of its own, with the values of ctx, that ends
// after limit: nobody who gives up takes the answer away from others. The answer may have
// been under way before Do was called.
func (g *Group[V]) Do(ctx context.Context, question string, limit time.Duration, ask func(context.Context) (V, error)) (V, error) {
	answer := g.under.DoChan(question, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return ask(ctx)
	})
	select {
	case is := <-answer:
		v, _ := is.Val.(V)
		return v, is.Err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}
