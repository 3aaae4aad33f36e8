package broker

import (
	"context"
	"crypto/tls"
	"time"
)

// clientHello is what a client has offered in a handshake of TLS.
type clientHello struct {
	seen   bool
	suites []uint16
}

// helloKey is where a clientHello is in the context of its handshake.
type helloKey struct{}

// within returns the context of a handshake that h is to be told of.
func (h *clientHello) within(deadline time.Time) (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.WithValue(context.Background(), helloKey{}, h), deadline)
}

// noteHello takes note of what a client offers. It is asked for settings, and has
// none.
func noteHello(info *tls.ClientHelloInfo) (*tls.Config, error) {
	if h, ok := info.Context().Value(helloKey{}).(*clientHello); ok {
		h.seen, h.suites = true, info.CipherSuites
	}
	return nil, nil //nolint:nilnil // which is how tls.Config has it
}
