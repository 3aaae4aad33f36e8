package broker

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
)

// restore gives mochi what has survived a restart, before it serves. Mochi's own
// way, by the hooks of a store, tells the hook of every session that it ended,
// and loses half of what it reads (v2.7.9).
func (p *persist) restore(now time.Time) error {
	if p.store == nil {
		return nil
	}
	var failed error
	sessions, retained := 0, 0
	err := p.store.Load(func(st keep.Stored) {
		if failed != nil {
			return
		}
		var ok bool
		if ok, failed = p.restoreSession(st, now); ok {
			sessions++
		}
	}, func(m message.Message) {
		if p.restoreRetained(m, now) {
			retained++
		}
	})
	if failed != nil {
		return fmt.Errorf("broker: whose the stored sessions are can't be told: %w", failed)
	}
	if err != nil {
		return fmt.Errorf("broker: stored sessions: %w", err)
	}
	atomic.StoreInt64(&p.b.srv.Info.Retained, int64(retained))
	if sessions+retained > 0 {
		p.b.log.Info("restored", "sessions", sessions, "retained_messages", retained)
	}
	return nil
}

// restoreSession reports whether a session is there again. One that was connected
// when the server ended without a word has been disconnected since now.
func (p *persist) restoreSession(st keep.Stored, now time.Time) (bool, error) {
	until, latest := st.Until, now.Add(p.b.cfg.MaxSessionExpiry)
	if until.IsZero() {
		until = latest
		if st.Version >= 5 {
			until = now.Add(time.Duration(st.Expiry) * time.Second)
		}
	}
	if until.After(latest) {
		until = latest
	}
	if !until.After(now) {
		p.store.DropSession(st.ClientID)
		return false, nil
	}
	cl := p.revive(&st, now)
	ok, err := p.owners.Restore(cl, st.User, st.Owner, until)
	switch {
	case err != nil:
		return false, err
	case !ok:
		p.b.Purge(cl)
	case !until.Equal(st.Until): // it does not begin anew with another restart
		ledgerOf(cl).stored(cl, st.Owner, until)
	}
	return ok, nil
}

// revive makes the client of a session as mochi has it after its connection.
func (p *persist) revive(st *keep.Stored, now time.Time) *mqtt.Client {
	srv := p.b.srv
	cl := srv.NewClient(nil, "", st.ClientID, false)
	cl.Properties.ProtocolVersion = st.Version
	cl.Properties.Clean = st.Clean
	if st.Version >= 5 {
		cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = st.Expiry, true
	}
	cl.Stop(packets.ErrServerShuttingDown)
	g := endedGuard(p.b, cl)
	cl.Net.Conn = g
	l := &ledger{p: p, id: cl.ID, owner: cl, user: st.User, kept: true}
	g.ledger = l
	p.ledgers[cl.ID] = l // nobody else is here yet
	srv.Clients.Add(cl)

	for _, s := range st.Subscriptions {
		sub := subscriptionFrom(s)
		if srv.Topics.Subscribe(cl.ID, sub) {
			atomic.AddInt64(&srv.Info.Subscriptions, 1)
		}
		cl.State.Subscriptions.Add(sub.Filter, sub)
	}
	var sent []frame.Sent
	for i := range st.Deliveries {
		m := &st.Deliveries[i]
		if m.Expired(now.Unix()) {
			p.store.DropDelivery(cl.ID, m.PacketID)
			continue
		}
		switch m.Stage {
		case keep.Sent:
			sent = append(sent, frame.SentPublish(m.PacketID, m.QoS))
		case keep.Released:
			sent = append(sent, frame.SentPubrel(m.PacketID))
		default:
		}
		l.next = m.Order // they come in their order
		l.enter(m.PacketID, m.Order, m.Stage != keep.Queued)
		cl.State.Inflight.Set(deliveryFrom(m))
		atomic.AddInt64(&srv.Info.Inflight, 1)
	}
	g.exchange.Load().Restore(st.Received, sent)
	return cl
}

func (p *persist) restoreRetained(m message.Message, now time.Time) bool {
	if m.Expired(now.Unix()) || len(m.Payload) == 0 {
		p.store.DropRetained(m.Topic)
		return false
	}
	p.b.retained.Restore(&m)
	return true
}

// endedGuard returns the guard of a connection that is over.
func endedGuard(b *Broker, cl *mqtt.Client) *guard {
	g := newGuard(b, &conn{Conn: ended{}, raw: ended{}, remote: ended{}, timeout: b.cfg.WriteTimeout, last: b.cfg.LastWords, born: time.Now()})
	g.client = cl
	g.exchange.Store(frame.NewExchange(cl.Properties.ProtocolVersion, b.cfg.ReceiveMaximum, b.cfg.ReceiveMaximum))
	g.over()
	return g
}

// ended is a connection that is over, and of which nothing is known.
type ended struct{}

func (ended) Read([]byte) (int, error)         { return 0, io.EOF }
func (ended) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (ended) Close() error                     { return nil }
func (ended) LocalAddr() net.Addr              { return ended{} }
func (ended) RemoteAddr() net.Addr             { return ended{} }
func (ended) SetDeadline(time.Time) error      { return nil }
func (ended) SetReadDeadline(time.Time) error  { return nil }
func (ended) SetWriteDeadline(time.Time) error { return nil }
func (ended) Network() string                  { return "none" }
func (ended) String() string                   { return "none" }
