package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns both ends of a TCP connection, ours as a conn.
func pair(tb testing.TB, cfg Config) (c *conn, peer net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close(); peer.Close() })
	cfg = cfg.withDefaults()
	return newConn(nc, &listener{}, cfg, newAdmission(cfg)), peer
}

func TestWriteToAClientThatDoesNotRead(t *testing.T) {
	c, _ := pair(t, Config{WriteTimeout: 50 * time.Millisecond})
	before := time.Now()
	var err error
	for err == nil {
		_, err = c.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a time-out", err)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := c.Conn.Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("err = %v, want net.ErrClosed: the connection is of no use any more", err)
	}
}

func TestWriteDeadlineIsForGood(t *testing.T) {
	c, _ := pair(t, Config{WriteTimeout: time.Hour})
	for range 3 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	stuck := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		stuck <- err
	}()
	if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-stuck; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a time-out", err)
	}
}

func TestKeepAliveDoesNotTouchWriteDeadlines(t *testing.T) {
	c, _ := pair(t, Config{})
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("a write failed by the deadline for reads: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a time-out", err)
	}
}

// A socket closed with unread data in it is reset, and what was written before
// may be lost.
func TestLastWordsArriveThoughTheClientGoesOnSending(t *testing.T) {
	c, peer := pair(t, Config{})
	if _, err := peer.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("goodbye")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("mochi may still read: err = %v", err)
	}
	if _, err := peer.Write(make([]byte, 1000)); err != nil {
		t.Fatalf("the client can't write: %v", err)
	}
	gone := make(chan struct{})
	go func() { c.awaitPeerClose(); close(gone) }()
	got, err := io.ReadAll(peer)
	if string(got) != "goodbye" || err != nil {
		t.Errorf("the client got %q, %v", got, err)
	}
	peer.Close()
	<-gone
}

func TestAwaitPeerCloseIsBounded(t *testing.T) {
	c, _ := pair(t, Config{FinalTimeout: 20 * time.Millisecond})
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_ = c.Close()
	before := time.Now()
	c.awaitPeerClose()
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// overTLS returns a connection to a client that reads nothing after the
// handshake, through no buffer at all. stuck is closed when somebody has begun
// to write to it.
func overTLS(tb testing.TB) (c *conn, stuck chan struct{}) {
	tb.Helper()
	ours, theirs := net.Pipe()
	tb.Cleanup(func() { theirs.Close() })
	cfg := &tls.Config{Certificates: []tls.Certificate{selfSigned(tb)}, SessionTicketsDisabled: true}
	c = newConn(ours, &listener{tls: cfg}, Config{FinalTimeout: 20 * time.Millisecond, WriteTimeout: time.Hour}, newAdmission(Config{}))
	peer := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- peer.HandshakeContext(tb.Context()) }()
	if err := c.tls.HandshakeContext(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := <-shaken; err != nil {
		tb.Fatal(err)
	}
	stuck = make(chan struct{})
	go func() {
		_, _ = theirs.Read(make([]byte, 1)) // of a record that has more
		close(stuck)
	}()
	return c, stuck
}

func TestClosingAlertDoesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	c, _ := overTLS(t)
	before := time.Now()
	_ = c.Close()
	if took := time.Since(before); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Last words over TLS to a client whose buffers are full: the closing alert of
// TLS has a time-out of its own, of five seconds.
func TestCloseAfterLastWordsDoesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	c, stuck := overTLS(t)
	go func() { _, _ = c.Write([]byte("is never read")) }()
	<-stuck
	before := time.Now()
	_ = c.SetWriteDeadline(before.Add(20 * time.Millisecond))
	_ = c.Close()
	c.awaitPeerClose()
	if took := time.Since(before); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Mochi moves the deadline for reads on before each packet. If it does so while
// the connection is being closed, its reader must not wait for the client.
func TestKeepAliveDoesNotWakeAfterLastWords(t *testing.T) {
	c, _ := pair(t, Config{})
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_ = c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("err = %v, want net.ErrClosed", err)
	}
}

func TestConnackSaysWhoIsSignedIn(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    []byte
		want bool
	}{
		{"MQTT 3, accepted", []byte{0x20, 2, 0, 0}, true},
		{"MQTT 3, accepted with a session", []byte{0x20, 2, 1, 0}, true},
		{"MQTT 3, refused", []byte{0x20, 2, 0, 5}, false},
		{"MQTT 5, accepted", []byte{0x20, 3, 0, 0, 0}, true},
		{"MQTT 5, accepted, with more than 127 bytes", append([]byte{0x20, 0x83, 0x01, 0, 0, 0x80, 0x01}, make([]byte, 128)...), true},
		{"MQTT 5, refused", []byte{0x20, 3, 0, 0x87, 0}, false},
		{"MQTT 5, a further step of signing in", []byte{0xF0, 2, 0x18, 0}, false},
		{"nothing", nil, false},
		{"cut off", []byte{0x20, 0x80}, false},
	} {
		c, _ := pair(t, Config{MaxConnectionsPerAddress: 1})
		if !c.admission.open(&c.counted) || !c.admission.setAddress(&c.counted, c.RemoteAddr()) || !c.countSignIn() {
			t.Fatal("refused")
		}
		_, _ = c.Write(tt.p)
		if got := c.admission.halfOpenNow() == 0; got != tt.want {
			t.Errorf("%s: signed in: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func selfSigned(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestPlainConnack(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in, want []byte
	}{
		{"accepted", []byte{0x20, 2, 1, 0}, []byte{0x20, 2, 1, 0}},
		{"a code of MQTT 3", []byte{0x20, 2, 0, 5}, []byte{0x20, 2, 0, 5}},
		{"protocol violation", []byte{0x20, 2, 0, 0x82}, []byte{0x20, 2, 0, 5}},
		{"client ID not valid", []byte{0x20, 2, 0, 0x85}, []byte{0x20, 2, 0, 2}},
		{"MQTT 5", []byte{0x20, 3, 0, 0x87, 0}, []byte{0x20, 3, 0, 0x87, 0}},
		{"not a CONNACK", []byte{0x40, 2, 0, 0x87}, []byte{0x40, 2, 0, 0x87}},
	} {
		if got := plainConnack(tt.in); string(got) != string(tt.want) {
			t.Errorf("%s: % x, want % x", tt.name, got, tt.want)
		}
	}
}

// flaky is a listener whose Accept fails for a while.
type flaky struct {
	net.Listener
	failures int
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestV04AcceptGoesOnAfterErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{ConnectTimeout: 10 * time.Millisecond}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.accept(&listener{Listener: &flaky{ln, 4}, name: "flaky"})
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil { // the broker cuts a silent peer
		t.Error(err)
	}
	ln.Close()
	<-done
	if err := b.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	c, peer := pair(b, Config{})
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	p := make([]byte, 64)
	b.Run("conn", func(b *testing.B) {
		for b.Loop() {
			_, _ = c.Write(p)
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			_, _ = c.raw.Write(p)
		}
	})
}
