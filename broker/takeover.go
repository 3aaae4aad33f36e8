package broker

import (
	"context"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// establish makes s, which has hold of its client ID, the session of that ID, and
// gives it its queue. Mochi is about to do the same with what it has.
func (b *Broker) establish(s *session) {
	var before *session // whose state s goes on with
	if old := b.sessions.succeed(s); old != nil && b.takeOver(s, old) {
		before = old.session
	}
	b.persist.establish(s, before)
}

// takeOver ends what old has of the client ID that is that of s now. It reports
// whether mochi is about to pass the state of old on to s.
func (b *Broker) takeOver(s *session, old *predecessor) bool {
	if old.connected {
		b.reportTakeover(s, old.session)
		b.kick(old.client, packets.ErrSessionTakenOver) // [MQTT-3.1.4-3]; mochi's own would wait for it
		old.guard.awaitFinished(b.cfg.FinalTimeout)
	}
	goesOn := b.goesOnWith(s, old.session)
	if !goesOn {
		b.abandon(old.session)
	} else {
		b.handOver(old.session, s)
	}
	b.publishWill(old.session, old.will)
	return goesOn
}

// goesOnWith reports whether s goes on with the state of old. Mochi drops that
// with a clean start, and when old was begun by MQTT 3 with a clean session.
func (b *Broker) goesOnWith(s, old *session) bool {
	return !s.clean && !old.expired.Load() &&
		(!old.client.Properties.Clean || old.client.Properties.ProtocolVersion >= 5)
}

// abandon gives up the state of old. Of one that has expired, mochi has let go,
// but not of its subscriptions.
func (b *Broker) abandon(old *session) {
	if old.expired.Load() {
		b.purge(old)
	}
	old.queue.retire()
}

// handOver prepares the state of old for s. Mochi resends whatever waits without
// asking; all of it was pruned at every change of the user, but s may have signed
// in otherwise, and its client may take less.
func (b *Broker) handOver(old, s *session) {
	b.prune(old, s.mayRead)
	b.dropReceipts(old)
	for _, waits := range old.client.State.Inflight.GetAll(false) {
		if waits.FixedHeader.Type == packets.Publish {
			b.dropTooLarge(s, old, &waits)
		}
	}
	s.guard.resume(old.guard)
}

// dropReceipts removes from what waits for a session the receipts for messages of
// its client. The guard remembers those; mochi would send them again.
func (b *Broker) dropReceipts(s *session) {
	inflight := s.client.State.Inflight
	for _, pk := range inflight.GetAll(false) {
		switch pk.FixedHeader.Type {
		case packets.Publish, packets.Pubrel:
		default:
			if inflight.Delete(pk.PacketID) {
				atomic.AddInt64(&b.srv.Info.Inflight, -1)
			}
		}
	}
}

// leave is called when mochi is through with the connection of a client: as it
// should be, or after a panic, or since its CONNECT failed on the way. In the last
// two cases nothing of what OnDisconnect stands for has happened.
func (b *Broker) leave(s *session) {
	_ = b.sessions.hold(context.Background(), s)
	s.client.Stop(packets.ErrUnspecifiedError)
	if !s.ended && b.sessions.stageOf(s) == connected {
		b.sendWill(s)
	}
	expiry := s.expiry(b.cfg.MaxSessionExpiry)
	keep := outlives(s.client) && expiry > 0 && !s.revoked.Load() && !s.dropped.Load()
	owner, due := b.sessions.leave(s, keep, b.cfg.Now(), expiry)
	switch owner {
	case s: // and its state stays
		b.store(s)
	case nil:
		b.purge(s)
	default:
		// A SUBSCRIBE that was being dealt with when the successor came would stay
		// for ever, under an ID that knows nothing of it.
		b.prune(s, func(filter string) bool {
			_, has := owner.client.State.Subscriptions.Get(filter)
			return has
		})
	}
	if !s.isSettled() {
		close(s.settled)
	}
	b.sessions.release(s)
	close(s.done)
	b.publishWill(s, due)
}
