package broker

import (
	"net"
	"syscall"
	"testing"
	"time"
)

func TestAcceptedSocketsHaveTheKeepAliveOfTheirListener(t *testing.T) {
	ln, err := bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	socket, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		level, option int
		want          int
	}{
		{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(keepAlive.Idle / time.Second)},
		{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(keepAlive.Interval / time.Second)},
		{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAlive.Count},
	} {
		err := socket.Control(func(fd uintptr) {
			got, err := syscall.GetsockoptInt(int(fd), tt.level, tt.option)
			if err != nil || got != tt.want {
				t.Errorf("%s is %d (%v), want %d", tt.name, got, err, tt.want)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
