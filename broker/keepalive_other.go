//go:build !linux

package broker

import (
	"context"
	"net"
)

// bind listens on a TCP address.
func bind(address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(context.Background(), "tcp", address)
}
