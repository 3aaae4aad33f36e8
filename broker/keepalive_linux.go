package broker

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// bind listens on a TCP address. The listening socket carries the settings of the
// keep alive: Linux hands them on to every socket that is accepted from it
// (tcp(7)), where setting them would cost four system calls each.
func bind(address string) (net.Listener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1, // nothing is set on accept
		Control: func(_, _ string, socket syscall.RawConn) error {
			var err error
			return errors.Join(socket.Control(func(fd uintptr) { err = setKeepAlive(int(fd)) }), err)
		},
	}
	return lc.Listen(context.Background(), "tcp", address)
}

func setKeepAlive(fd int) error {
	return errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(keepAlive.Idle/time.Second)),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(keepAlive.Interval/time.Second)),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAlive.Count),
	)
}
