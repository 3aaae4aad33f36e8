package keep

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"mqttwarden/registry/durable"

	"go.etcd.io/bbolt"

	"mqttwarden/broker/message"
)

// renew makes a new file with all that the old one, if there is one, has that can
// be used, and puts it in the old one's place.
func (s *Store) renew() error {
	next := s.cfg.File + ".new"
	if err := remove(next); err != nil {
		return err
	}
	db, err := create(next)
	if err != nil {
		return err
	}
	_, err = os.Stat(s.cfg.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		_ = db.Close()
		return err
	default:
		if err := s.copyTo(db); err != nil {
			_ = db.Close()
			var unknown *unknownError
			if errors.As(err, &unknown) {
				return err
			}
			if err := s.moveAside(err); err != nil {
				return err
			}
			s.known, s.topics = make(map[string]bool), make(map[string]struct{})
			s.stats.Skipped = 0
			if err := remove(next); err != nil {
				return err
			}
			if db, err = create(next); err != nil {
				return err
			}
		}
	}
	if s.stats.Skipped > 0 {
		s.cfg.Log.Error("some records of sessions can't be used: they are damaged, or this store has not written them", "file", s.cfg.File, "records", s.stats.Skipped)
	}
	s.db = db
	if err := s.begin(); err != nil {
		_ = db.Close()
		return err
	}
	return s.install(next)
}

// begin has a new file say of which state of the register it is.
func (s *Store) begin() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		w := writer{tx: tx, authentic: newAuthentic(s.cfg.Keys)}
		s.position(&w)
		if s.cfg.Position != nil && s.at == nil {
			return errors.New("the state of the register is not known")
		}
		return w.err
	})
}

// knows returns errForeign unless a file is of this store and of its history.
func (s *Store) knows(tx *bbolt.Tx, a *authentic) error {
	if s.cfg.Known == nil {
		return nil
	}
	var value []byte
	if b := tx.Bucket(bucketLine); b != nil {
		value = b.Get(keyPosition)
	}
	if value == nil && s.cfg.Unkeyed {
		return nil // of a version that did not say
	}
	at, ok := a.open(bucketLine, keyPosition, value)
	if !ok {
		return errForeign
	}
	switch ok, err := s.cfg.Known(at); {
	case err != nil:
		return &unknownError{err}
	case !ok:
		return errForeign
	}
	return nil
}

// unknownError says that the register could not be asked. The file stays as it is.
type unknownError struct{ error }

// create makes an empty file.
func create(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range append([][]byte{bucketLine}, buckets...) {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// install puts the open file of the store in its place, for good.
func (s *Store) install(from string) error {
	err := s.db.Sync()
	if err == nil {
		err = os.Rename(from, s.cfg.File)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(s.cfg.File))
	}
	if err != nil {
		_ = s.db.Close()
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// moveAside puts the old file out of the way.
func (s *Store) moveAside(why error) error {
	to := s.cfg.File + ".broken-" + s.cfg.Now().UTC().Format("20060102T150405Z")
	if errors.Is(why, errForeign) {
		s.cfg.Log.Warn("the file of sessions is of another store, or of a state of it that is lost: starting without", "file", s.cfg.File, "moved_to", to)
	} else {
		s.cfg.Log.Error("the file of sessions is damaged: starting without", "file", s.cfg.File, "moved_to", to, "err", why)
	}
	return os.Rename(s.cfg.File, to)
}

// copyTo copies what can be used of the old file. An error means that the file
// can't be read through. Any page may be damaged, and point to where there is no
// memory; bbolt panics at some of that, the processor at the rest.
func (s *Store) copyTo(to *bbolt.DB) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("keep: %v", p)
		}
	}()
	from, err := bbolt.Open(s.cfg.File, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second, NoStatistics: true})
	if err != nil {
		return err
	}
	defer from.Close()
	to.NoSync = true // until it is installed
	defer func() { to.NoSync = false }()
	c := copier{store: s, to: to, authentic: newAuthentic(s.cfg.Keys)}
	defer c.abandon()
	return from.View(func(tx *bbolt.Tx) error {
		if err := s.knows(tx, c.authentic); err != nil {
			return err
		}
		for _, name := range buckets {
			bucket := tx.Bucket(name)
			if bucket == nil {
				continue // an older version
			}
			if err := bucket.ForEach(func(k, v []byte) error { return c.record(name, k, v) }); err != nil {
				return err
			}
		}
		return c.flush()
	})
}

// copier copies records in transactions of a size.
type copier struct {
	store     *Store
	authentic *authentic
	to        *bbolt.DB
	tx        *bbolt.Tx
	bytes     int
}

// record copies a record if it can be used.
func (c *copier) record(bucket, k, closed []byte) error {
	v, ok := c.authentic.open(bucket, k, closed)
	if !ok && c.store.cfg.Unkeyed {
		v, ok = closed, true
	}
	if !ok || !c.usable(bucket, k, v) {
		c.store.stats.Skipped++
		return nil
	}
	if bytes.Equal(bucket, bucketUsers) {
		return nil // is made anew
	}
	if c.tx == nil {
		tx, err := c.to.Begin(true)
		if err != nil {
			return err
		}
		c.tx = tx
	}
	if bytes.Equal(bucket, bucketSessions) {
		c.store.known[string(k)] = true
		var s Session
		_ = s.read(k, v)
		owner := key(s.User, string(k))
		if err := c.tx.Bucket(bucketUsers).Put(owner, c.authentic.close(bucketUsers, owner, seal(owner, format, nothing))); err != nil {
			return err
		}
	}
	if bytes.Equal(bucket, bucketRetained) {
		c.store.topics[string(k)] = struct{}{}
	}
	if err := c.tx.Bucket(bucket).Put(k, c.authentic.close(bucket, k, bytes.Clone(v))); err != nil {
		return err
	}
	if c.bytes += len(k) + len(v); c.bytes > 4<<20 {
		return c.flush()
	}
	return nil
}

func (c *copier) flush() error {
	if c.tx == nil {
		return nil
	}
	tx := c.tx
	c.tx, c.bytes = nil, 0
	return tx.Commit()
}

// abandon ends a transaction that was not committed.
func (c *copier) abandon() {
	if c.tx != nil {
		_ = c.tx.Rollback()
	}
}

// usable reports whether a record can be read and belongs to a session.
func (c *copier) usable(bucket, k, v []byte) bool {
	if bytes.Equal(bucket, bucketSessions) {
		return len(k) > 0 && new(Session).read(k, v) == nil
	}
	body, _, err := unseal(k, v, format)
	if err != nil {
		return false
	}
	owned := func(id string, ok bool) bool { return ok && c.store.known[id] }
	switch string(bucket) {
	case "users":
		return true
	case "subscriptions":
		id, _, ok := split(k)
		return owned(id, ok) && new(Subscription).decode(body) == nil
	case "messages":
		id, ok := splitPacket(k)
		return owned(id, ok) && new(Delivery).decode(body) == nil
	case "received":
		id, ok := splitPacket(k)
		return owned(id, ok)
	default:
		return decodeRetained(new(message.Message), body) == nil
	}
}

// Load reads what the file has: the sessions user by user, then the retained
// messages. It is for the start: what is recorded meanwhile may be in it or not.
func (s *Store) Load(session func(Stored), retained func(message.Message)) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("keep: %v", p)
		}
	}()
	a := newAuthentic(s.cfg.Keys)
	return s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketUsers).ForEach(func(k, _ []byte) error {
			_, id, _ := split(k)
			session(read(tx, a, id))
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketRetained).ForEach(func(k, v []byte) error {
			m := message.Message{Topic: string(k)}
			v, ok := a.open(bucketRetained, k, v)
			if !ok {
				return nil
			}
			if body, _, err := unseal(k, v, format); err == nil && decodeRetained(&m, body) == nil {
				retained(m)
			}
			return nil
		})
	})
}

// read returns a session. The file is a copy that was made at the start: there is
// nothing in it that can't be read.
func read(tx *bbolt.Tx, a *authentic, id string) Stored {
	st := Stored{Session: Session{ClientID: id}}
	k := []byte(id)
	if v, ok := a.open(bucketSessions, k, tx.Bucket(bucketSessions).Get(k)); ok {
		_ = st.read(k, v)
	}
	all := prefix(id)
	each(tx, a, bucketSubscriptions, all, func(k, body []byte) {
		v := Subscription{Filter: string(k[len(all):])}
		if v.decode(body) == nil {
			st.Subscriptions = append(st.Subscriptions, v)
		}
	})
	each(tx, a, bucketDeliveries, all, func(k, body []byte) {
		v := Delivery{PacketID: binary.BigEndian.Uint16(k[len(all):])}
		if v.decode(body) == nil {
			st.Deliveries = append(st.Deliveries, v)
		}
	})
	each(tx, a, bucketReceived, all, func(k, _ []byte) {
		st.Received = append(st.Received, binary.BigEndian.Uint16(k[len(all):]))
	})
	slices.SortFunc(st.Deliveries, func(a, b Delivery) int { return cmp.Compare(a.Order, b.Order) })
	return st
}

// each calls f with the bodies below a prefix.
func each(tx *bbolt.Tx, a *authentic, bucket, all []byte, f func(k, body []byte)) {
	c := tx.Bucket(bucket).Cursor()
	for k, v := c.Seek(all); bytes.HasPrefix(k, all); k, v = c.Next() {
		v, ok := a.open(bucket, k, v)
		if !ok {
			continue
		}
		if body, _, err := unseal(k, v, format); err == nil {
			f(k, body)
		}
	}
}
