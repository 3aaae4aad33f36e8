package broker

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
	"mqttwarden/broker/internal/keep"
	"mqttwarden/broker/message"
)

// restore brings back what has survived a restart, before anybody is served.
// Mochi's own way, by the hooks of a store, tells the hook of every session that
// it ended, and loses half of what it reads (v2.7.9).
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

// restoreSession reports whether a session is there again. It makes it a stored
// session of its user as any other; what it may not read any more is taken from
// it. An error says that it can't be told whether it may be there.
func (p *persist) restoreSession(st keep.Stored, now time.Time) (bool, error) {
	expires := p.expiry(&st.Session, now)
	if !expires.After(now) {
		p.store.DropSession(st.ClientID)
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.b.cfg.SignInTimeout)
	defer cancel()
	login, err := p.b.hook.Recall(ctx, st.ClientID, st.User, st.Proof)
	if err != nil {
		if unknown(err) {
			return false, err
		}
		p.store.DropSession(st.ClientID)
		p.notRestored(st.ClientID, st.User, err)
		return false, nil
	}
	s := p.revive(&st, login, now)
	p.b.sessions.restore(s, expires)
	// From here on every change of the user comes to the session. Those that
	// came before are in what it is judged by now.
	if err := p.b.check(ctx, s, true); err != nil {
		p.notRestored(s.id, login.Username(), err)
		s.revoked.Store(true)
		p.b.forget(ctx, s)
		return false, nil
	}
	p.b.prune(s, s.mayRead)
	if !expires.Equal(st.Until) { // it does not begin anew with another restart
		p.b.store(s)
	}
	return true, nil
}

func (p *persist) notRestored(clientID, user string, why error) {
	p.b.log.Info("session not restored", "client", printable(clientID), "user", printable(user), "reason", why.Error())
}

// expiry returns when a session from before a restart ends. One that was connected
// when the server ended without a word has been disconnected since now.
func (p *persist) expiry(k *keep.Session, now time.Time) time.Time {
	expires, latest := k.Until, now.Add(p.b.cfg.MaxSessionExpiry)
	if expires.IsZero() {
		expires = latest
		if k.Version >= 5 {
			expires = now.Add(time.Duration(k.Expiry) * time.Second)
		}
	}
	if expires.After(latest) {
		expires = latest
	}
	return expires
}

// revive makes a session as it is after its connection.
func (p *persist) revive(st *keep.Stored, login Login, now time.Time) *session {
	srv := p.b.srv
	cl := srv.NewClient(nil, "", st.ClientID, false)
	cl.Properties.ProtocolVersion = st.Version
	cl.Properties.Clean = st.Clean
	cl.Properties.Username = []byte(login.Username())
	if st.Version >= 5 {
		cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = st.Expiry, true
	}
	cl.Stop(packets.ErrServerShuttingDown)
	g := endedGuard(p.b)
	g.client = cl
	g.exchange.Store(frame.NewExchange(st.Version, p.b.cfg.ReceiveMaximum, p.b.cfg.ReceiveMaximum))
	cl.Net.Conn = g
	s := newSession(g, login, false)
	close(s.settled)
	close(s.done)
	if st.Will != nil {
		s.delayedWill, s.willDue = &will{message: *st.Will}, st.WillDue
	}
	s.queue = &queue{p: p, id: s.id, owner: s, persisted: true}
	s.queue.tally.begin(p.b.waiting, s.user)
	g.session = s // nobody else is here yet
	srv.Clients.Add(cl)
	for _, k := range st.Subscriptions {
		sub := subscriptionFrom(k)
		sub.FwdRetainedFlag = sub.RetainAsPublished && st.Version < 5 // of a bridge
		if srv.Topics.Subscribe(cl.ID, sub) {
			atomic.AddInt64(&srv.Info.Subscriptions, 1)
		}
		cl.State.Subscriptions.Add(sub.Filter, sub)
		p.b.subscribeParent(cl, sub)
	}
	g.exchange.Load().Restore(st.Received, p.reviveQueue(s.queue, st.Deliveries, now))
	return s
}

// reviveQueue puts what waits for a session, which comes in its order, back into
// its queue, and returns what of that the client was sent.
func (p *persist) reviveQueue(q *queue, all []keep.Delivery, now time.Time) (sent []frame.Sent) {
	for i := range all {
		d := &all[i]
		if d.Expired(now.Unix()) {
			p.store.DropDelivery(q.id, d.PacketID)
			continue
		}
		switch d.Stage {
		case keep.Sent:
			sent = append(sent, frame.SentPublish(d.PacketID, d.QoS))
		case keep.Released:
			sent = append(sent, frame.SentPubrel(d.PacketID))
		default:
		}
		q.last = d.Order
		q.put(d.PacketID, d.Order, d.Stage != keep.Queued)
		pk := deliveryFrom(d)
		q.weigh(&pk)
		q.setInflight(pk)
	}
	return sent
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
func endedGuard(b *Broker) *guard {
	g := newGuard(b, &conn{Conn: ended{}, raw: ended{}, remote: ended{}, timeout: b.cfg.WriteTimeout, finalTimeout: b.cfg.FinalTimeout, born: time.Now()})
	g.finish()
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
