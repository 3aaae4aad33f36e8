package authhook_test

import (
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
)

// host is the least that the hook can live on: mochi behind a listener without
// any of the defences of package broker.
type host struct {
	srv   *mqtt.Server
	ln    net.Listener
	conns sync.WaitGroup
	cert  atomic.Pointer[x509.Certificate] // what the next connections show

	panics atomic.Int64

	mu   sync.Mutex
	kept map[string]record // sessions that survive a restart
}

// record is what a host keeps of a session.
type record struct {
	owner []byte
	until time.Time
}

func newHost(tb testing.TB) *host {
	tb.Helper()
	caps := mqtt.NewDefaultServerCapabilities()
	caps.TopicAliasMaximum = 0
	caps.MaximumMessageExpiryInterval = 0
	caps.MaximumSessionExpiryInterval = 3600
	caps.ReceiveMaximum = 256
	caps.MaximumClientWritesPending = 512
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return &host{ln: ln, kept: make(map[string]record), srv: mqtt.New(&mqtt.Options{
		Capabilities:           caps,
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: 60,
	})}
}

// start installs the hook and serves until the test ends.
func (h *host) start(tb testing.TB, hook mqtt.Hook) {
	tb.Helper()
	if err := h.srv.AddHook(hook, nil); err != nil {
		tb.Fatal(err)
	}
	if err := h.srv.Serve(); err != nil {
		tb.Fatal(err)
	}
	h.conns.Go(func() {
		for {
			nc, err := h.ln.Accept()
			if err != nil {
				return
			}
			h.conns.Go(func() { h.serve(&conn{Conn: nc, cert: h.cert.Load()}) })
		}
	})
	tb.Cleanup(func() {
		_ = h.ln.Close()
		for _, cl := range h.srv.Clients.GetAll() {
			cl.Stop(packets.ErrServerShuttingDown)
		}
		h.conns.Wait()
		if err := h.srv.Close(); err != nil {
			tb.Error(err)
		}
	})
}

func (h *host) serve(c *conn) {
	defer c.finish()
	defer c.Close()
	defer func() {
		if recover() != nil {
			h.panics.Add(1)
		}
	}()
	_ = h.srv.EstablishConnection("test", c)
}

func (h *host) addr() string { return h.ln.Addr().String() }

// Refuse implements authhook.Host.
func (h *host) Refuse(cl *mqtt.Client, code packets.Code) error {
	return h.srv.SendConnack(cl, code, false, nil)
}

// Kick implements authhook.Host.
func (h *host) Kick(cl *mqtt.Client, code packets.Code) {
	_ = cl.Net.Conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	cl.Lock()
	defer cl.Unlock()
	if cl.Properties.ProtocolVersion >= 5 && !cl.Closed() {
		_, _ = cl.Net.Conn.Write([]byte{0xE0, 2, code.Code, 0})
	}
	cl.Stop(code)
}

// Prune implements authhook.Host.
func (h *host) Prune(cl *mqtt.Client, may func(string) bool) (subscriptions, messages int) {
	for filter := range cl.State.Subscriptions.GetAll() {
		if !may(filter) {
			h.srv.Topics.Unsubscribe(filter, cl.ID)
			cl.State.Subscriptions.Delete(filter)
			subscriptions++
		}
	}
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish && !may(pk.TopicName) {
			cl.State.Inflight.Delete(pk.PacketID)
			messages++
		}
	}
	return subscriptions, messages
}

// Store implements authhook.Host.
func (h *host) Store(cl *mqtt.Client, owner []byte, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept[cl.ID] = record{owner, until}
}

// Purge implements authhook.Host.
func (h *host) Purge(cl *mqtt.Client) {
	h.mu.Lock()
	delete(h.kept, cl.ID)
	h.mu.Unlock()
	h.srv.UnsubscribeClient(cl)
	cl.ClearInflights()
	if now, ok := h.srv.Clients.Get(cl.ID); ok && now == cl {
		h.srv.Clients.Delete(cl.ID)
	}
}

// Keep implements authhook.Host.
func (h *host) Keep(cl *mqtt.Client) {
	if _, ok := h.srv.Clients.Get(cl.ID); !ok {
		h.srv.Clients.Add(cl)
	}
}

// Publish implements authhook.Host.
func (h *host) Publish(clientID string, pk packets.Packet) error {
	from := h.srv.NewClient(nil, mqtt.LocalListener, clientID, true)
	from.Properties.ProtocolVersion = 5
	pk.FixedHeader.Type = packets.Publish
	pk.PacketID = uint16(pk.FixedHeader.Qos)
	return h.srv.InjectPacket(from, pk)
}

// conn implements authhook.Conn.
type conn struct {
	net.Conn
	cert  *x509.Certificate
	mu    sync.Mutex
	after []func()
}

var _ authhook.Conn = (*conn)(nil)

func (c *conn) PeerCertificates() []*x509.Certificate {
	if c.cert == nil {
		return nil
	}
	return []*x509.Certificate{c.cert}
}

func (c *conn) Finally(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = append(c.after, f)
}

func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.after {
		f()
	}
}
