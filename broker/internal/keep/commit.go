package keep

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// patience is the longest time between two attempts to write to a disk that
// fails.
const patience = 5 * time.Second

// run commits until the store is closed.
func (s *Store) run() {
	defer close(s.stopped)
	wait := s.cfg.Flush
	timer := time.NewTimer(wait)
	timer.Stop()
	for {
		var done chan error
		select {
		case <-s.wake:
			timer.Reset(wait)
			continue
		case <-timer.C:
		case done = <-s.flushes:
		case <-s.closing:
			timer.Stop()
			s.mu.Lock()
			s.closed = true
			s.mu.Unlock()
			_ = s.commit()
			_ = s.db.Close()
			return
		}
		err := s.commit()
		if done != nil {
			done <- err
		}
		if err == nil {
			wait = s.cfg.Flush
			continue
		}
		wait = min(2*wait, patience)
		timer.Reset(wait)
	}
}

// commit writes the batch. If that fails, it becomes a part of the next.
func (s *Store) commit() error {
	b := s.take()
	if b == nil {
		return nil
	}

	began := s.cfg.Now()
	n, err := s.write(b)
	took := s.cfg.Now().Sub(began)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.under = 0
	failed := s.stats.Failing
	s.stats.Failing = err != nil
	if err != nil {
		s.stats.Failures++
		s.next.after(b)
		if !failed {
			s.cfg.Log.Error("sessions can't be written; trying again", "file", s.cfg.File, "err", err)
		}
		return err
	}
	for topic, ch := range b.retained {
		if _, again := s.next.retained[topic]; ch.value == nil && !again {
			delete(s.topics, topic)
		}
	}
	s.stats.Commits++
	s.stats.Written += uint64(n) // #nosec G115 -- a count
	s.stats.LastFlush = took
	if failed {
		s.cfg.Log.Info("sessions are written again", "file", s.cfg.File)
	}
	return nil
}

// take begins a new batch and returns the one before it, nil if there is nothing in
// it. From now on the file may have what that says.
func (s *Store) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = false
	b := s.next
	if b.empty() {
		return nil
	}
	s.next = newBatch()
	s.under = b.bytes
	for id := range b.sessions {
		if _, ok := s.known[id]; ok {
			s.known[id] = true
		}
	}
	for topic, ch := range b.retained {
		if ch.value != nil {
			s.topics[topic] = struct{}{}
		}
	}
	return b
}

// write writes a batch in one transaction and returns how many records it had.
// The file is mapped into memory: what a disk can't read of it is a fault there.
func (s *Store) write(b *batch) (n int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("keep: %v", p)
		}
		if err != nil {
			s.at = nil // to be written again
		}
	}()
	err = s.db.Update(func(tx *bbolt.Tx) error {
		w := writer{tx: tx, authentic: newAuthentic(s.cfg.Keys)}
		for _, id := range slices.Sorted(maps.Keys(b.sessions)) {
			w.session(id, b.sessions[id])
		}
		for _, topic := range sorted(b.retained) {
			m := b.retained[topic].value
			w.set(bucketRetained, []byte(topic), m != nil, func(v []byte) []byte { return appendRetained(v, m) })
		}
		n = w.n
		s.position(&w)
		return w.err
	})
	return n, err
}

// position has the file say of which state of the register it is. While that is not
// known, what it says is an earlier one.
func (s *Store) position(w *writer) {
	if s.cfg.Position == nil {
		return
	}
	if at, err := s.cfg.Position(); err == nil && !bytes.Equal(at, s.at) {
		s.at = at
		w.put(bucketLine, keyPosition, bytes.Clone(at))
	}
}

// writer writes records until one fails.
type writer struct {
	tx        *bbolt.Tx
	authentic *authentic
	n         int
	err       error
}

// session writes the changes of a session.
func (w *writer) session(id string, c *changes) {
	if c.wiped {
		w.wipe(id)
	}
	if c.session != nil {
		w.owner(id, c.session)
	}
	for _, filter := range sorted(c.subscriptions) {
		v := c.subscriptions[filter].value
		w.set(bucketSubscriptions, key(id, filter), v != nil, func(b []byte) []byte { return v.encode(b) })
	}
	for _, packet := range sorted(c.deliveries) {
		v := c.deliveries[packet].value
		w.set(bucketDeliveries, packetKey(id, packet), v != nil, func(b []byte) []byte { return v.encode(b) })
	}
	for _, packet := range sorted(c.received) {
		w.set(bucketReceived, packetKey(id, packet), c.received[packet].value != nil, nothing)
	}
}

// owner writes a session, and its place among those of its user.
func (w *writer) owner(id string, v *Session) {
	w.disown(id, v.User)
	w.set(bucketUsers, key(v.User, id), true, nothing)
	k := []byte(id)
	w.put(bucketSessions, k, seal(k, sessionFormat, v.encode))
}

// disown takes a session from the user that it belongs to in the file, unless
// that is user.
func (w *writer) disown(id, user string) {
	k := []byte(id)
	var before Session
	value, ok := w.authentic.open(bucketSessions, k, w.tx.Bucket(bucketSessions).Get(k))
	if ok && before.read(k, value) == nil && before.User != user {
		w.set(bucketUsers, key(before.User, id), false, nil)
	}
}

// wipe deletes all that the file has of a session.
func (w *writer) wipe(id string) {
	w.disown(id, "")
	w.set(bucketSessions, []byte(id), false, nil)
	all := prefix(id)
	for _, name := range [][]byte{bucketSubscriptions, bucketDeliveries, bucketReceived} {
		bucket := w.tx.Bucket(name)
		var keys [][]byte // a cursor loses its place over a deletion
		c := bucket.Cursor()
		for k, _ := c.Seek(all); bytes.HasPrefix(k, all); k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			w.set(name, k, false, nil)
		}
	}
}

// set writes or deletes one record, which is none of a session itself.
func (w *writer) set(bucket, k []byte, there bool, body func([]byte) []byte) {
	if there {
		w.put(bucket, k, seal(k, format, body))
	} else {
		w.put(bucket, k, nil)
	}
}

// put writes one record, or deletes it if there is no value.
func (w *writer) put(bucket, k, value []byte) {
	if w.err != nil {
		return
	}
	w.n++
	if value != nil {
		w.err = w.tx.Bucket(bucket).Put(k, w.authentic.close(bucket, k, value))
	} else {
		w.err = w.tx.Bucket(bucket).Delete(k)
	}
}

func nothing(b []byte) []byte { return b }

func sorted[K cmp.Ordered, T any](m map[K]change[T]) []K { return slices.Sorted(maps.Keys(m)) }
