package keep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"mqttwarden/broker/message"
)

// Config says how a store works.
type Config struct {
	File       string        // made if it does not exist
	Flush      time.Duration // how long a record waits to be committed
	MaxPending int           // bytes that may wait; what is above is not recorded
	Now        func() time.Time
	Log        *slog.Logger

	// Keys authenticate each record, the first one those that are written: records
	// that were written with none of them are left out. Without keys everybody has
	// the key.
	Keys [][]byte
	// Unkeyed has records read that were written before there were keys.
	Unkeyed bool
	// Position returns in which state the register is, and Known reports whether that
	// state belongs to its history. A file of another history is moved aside. Nil: the
	// file is of no register.
	Position func() ([]byte, error)
	Known    func(position []byte) (bool, error)
}

// Stats are counts of a store.
type Stats struct {
	Written   uint64        // records, deleted ones too
	Commits   uint64        // transactions
	Dropped   uint64        // records that did not fit into what may wait
	Skipped   uint64        // records of the file that could not be used at the start
	Failures  uint64        // commits that failed; they are tried again
	Pending   int           // bytes that wait now
	Failing   bool          // the last commit failed
	LastFlush time.Duration // how long the last commit took
}

// Store is an open file. Its methods may be called by anybody at any time; those
// that record neither wait for the disk nor fail. A nil *Store records nothing.
//
// What a method is given must not be changed afterwards.
type Store struct {
	cfg     Config
	db      *bbolt.DB
	wake    chan struct{}   // there is something to commit
	flushes chan chan error // commit now
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
	at      []byte // the position that the file has

	mu     sync.Mutex
	next   *batch
	woken  bool                // since next was begun
	under  int                 // bytes that are being committed
	known  map[string]bool     // sessions; true once the file may have something of them
	topics map[string]struct{} // with a retained message that the file may have
	closed bool
	stats  Stats
}

// Open opens a store and begins to commit. A file that is damaged is moved aside,
// and what can't be used of a file is left out: the log tells of both. An error
// means that no file can be written there.
func Open(cfg Config) (*Store, error) {
	s := &Store{
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		flushes: make(chan chan error),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		next:    newBatch(),
		known:   make(map[string]bool),
		topics:  make(map[string]struct{}),
	}
	if err := s.renew(); err != nil {
		return nil, fmt.Errorf("keep: %s: %w", filepath.Base(cfg.File), err)
	}
	go s.run()
	return s, nil
}

// PutSession records a session. What else belongs to it is recorded only for a
// session that was.
func (s *Store) PutSession(v Session) {
	if s == nil || !fits(v.ClientID, v.User) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var old int
	c := s.next.of(v.ClientID)
	if c.session != nil {
		old = c.session.size()
	}
	if !s.room(v.size() - old) {
		return
	}
	c.session = &v
	s.next.bytes += v.size() - old
	if _, ok := s.known[v.ClientID]; !ok {
		s.known[v.ClientID] = false
	}
	s.signal()
}

// DropSession records that a session is over, with all that belongs to it.
func (s *Store) DropSession(clientID string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	written, ok := s.known[clientID]
	if !ok || s.closed {
		return
	}
	delete(s.known, clientID)
	s.next.wipe(clientID, written)
	s.signal()
}

// PutSubscription records a subscription of a session.
func (s *Store) PutSubscription(clientID string, v Subscription) {
	if !fits(clientID, v.Filter) {
		return
	}
	s.record(clientID, v.size(), func(b *batch, c *changes) {
		put(b, &c.subscriptions, v.Filter, &v, v.size(), c.wiped)
	})
}

// DropSubscription records that a session has a subscription no more.
func (s *Store) DropSubscription(clientID, filter string) {
	s.record(clientID, 0, func(b *batch, c *changes) { drop(b, &c.subscriptions, filter, c.wiped) })
}

// PutDelivery records a delivery of a session. fresh says that none with its
// packet ID is there: either there never was, or it was dropped.
func (s *Store) PutDelivery(clientID string, v *Delivery, fresh bool) {
	bytes := overhead
	if v.Stage != Released {
		bytes = size(&v.Message)
	}
	if s == nil || !fits(clientID, "") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// One that is released takes less than what it replaces.
	if c := s.session(clientID); c != nil && (v.Stage == Released || s.room(bytes)) {
		put(s.next, &c.deliveries, v.PacketID, v, bytes, fresh || c.wiped)
		s.signal()
	}
}

// DropDelivery records that a delivery of a session is done with.
func (s *Store) DropDelivery(clientID string, packetID uint16) {
	s.record(clientID, 0, func(b *batch, c *changes) { drop(b, &c.deliveries, packetID, c.wiped) })
}

// PutReceived records that a message of QoS 2 was received from the client of a
// session. fresh is that of PutDelivery.
func (s *Store) PutReceived(clientID string, packetID uint16, fresh bool) {
	s.record(clientID, tombstone, func(b *batch, c *changes) {
		put(b, &c.received, packetID, &struct{}{}, tombstone, fresh || c.wiped)
	})
}

// DropReceived records that the client has released such a message.
func (s *Store) DropReceived(clientID string, packetID uint16) {
	s.record(clientID, 0, func(b *batch, c *changes) { drop(b, &c.received, packetID, c.wiped) })
}

// PutRetained records the retained message of a topic. If it does not fit, the
// topic has none, rather than the one before it.
func (s *Store) PutRetained(v *message.Message) {
	if s == nil || v.Topic == "" || !fits(v.Topic, "") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.topics[v.Topic]
	switch {
	case s.closed:
		return
	case s.room(size(v)):
		put(s.next, &s.next.retained, v.Topic, v, size(v), !there)
	default:
		drop(s.next, &s.next.retained, v.Topic, !there)
	}
	s.signal()
}

// DropRetained records that a topic has no retained message.
func (s *Store) DropRetained(topic string) {
	if s == nil || topic == "" || !fits(topic, "") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	_, there := s.topics[topic]
	drop(s.next, &s.next.retained, topic, !there)
	s.signal()
}

// record has f note something of a session that takes size bytes.
func (s *Store) record(clientID string, size int, f func(*batch, *changes)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.session(clientID); c != nil && (size == 0 || s.room(size)) {
		f(s.next, c)
		s.signal()
	}
}

// session returns the changes of a session, nil if it is none that is recorded.
// The caller holds mu.
func (s *Store) session(clientID string) *changes {
	if _, ok := s.known[clientID]; !ok || s.closed {
		return nil
	}
	return s.next.of(clientID)
}

// room reports whether so many bytes more may wait. The caller holds mu.
func (s *Store) room(size int) bool {
	if s.next.bytes+s.under+size <= s.cfg.MaxPending {
		return true
	}
	s.stats.Dropped++
	return false
}

// signal wakes the goroutine that commits, once for each batch. The caller holds
// mu.
func (s *Store) signal() {
	if s.woken {
		return
	}
	s.woken = true
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// fits reports whether a key can be made of a and b.
func fits(a, b string) bool { return a != "" && len(a)+len(b) <= longest }

// Stats returns the counts as they are now.
func (s *Store) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Pending = s.next.bytes + s.under
	return st
}

// errClosed is what flush returns after Close.
var errClosed = errors.New("keep: the store is closed")

// flush commits all that was recorded before, or says why that failed; then it
// is tried again. Tests do not wait for the interval.
func (s *Store) flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.flushes <- done:
	case <-s.stopped:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close commits all that was recorded and closes the file. Nothing is recorded
// afterwards.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.empty() {
		return nil
	}
	return errors.New("keep: what was recorded last could not be written")
}
