package keep

import (
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"mqttwarden/broker/message"
	"mqttwarden/registry/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a store that commits only when it is asked to.
type rig struct {
	*Store
	tb   testing.TB
	file string
	log  *logtest.Buffer
}

func open(tb testing.TB) *rig {
	tb.Helper()
	return openFile(tb, filepath.Join(tb.TempDir(), "sessions.db"))
}

func openFile(tb testing.TB, file string) *rig {
	tb.Helper()
	return openWith(tb, Config{File: file, Flush: time.Hour, MaxPending: 1 << 20, Unkeyed: true})
}

func openWith(tb testing.TB, cfg Config) *rig {
	tb.Helper()
	log, buf := logtest.New()
	cfg.Now, cfg.Log = time.Now, log
	s, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return &rig{s, tb, cfg.File, buf}
}

// again closes the store and opens it once more.
func (r *rig) again() *rig {
	r.tb.Helper()
	if err := r.Close(); err != nil {
		r.tb.Fatal(err)
	}
	return openFile(r.tb, r.file)
}

// commit has all that was recorded committed.
func (r *rig) commit() {
	r.tb.Helper()
	if err := r.flush(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
}

// content is all that a store has in its file.
type content struct {
	Sessions []Stored
	Retained []message.Message
}

func (r *rig) content() (c content) {
	r.tb.Helper()
	err := r.Load(func(s Stored) { c.Sessions = append(c.Sessions, s) }, func(p message.Message) { c.Retained = append(c.Retained, p) })
	if err != nil {
		r.tb.Fatal(err)
	}
	return c
}

// ofUser returns the client IDs of the sessions that the file has of a user.
func (r *rig) ofUser(user string) (ids []string) {
	r.tb.Helper()
	all := prefix(user)
	err := r.db.View(func(tx *bbolt.Tx) error {
		each(tx, newAuthentic(r.cfg.Keys), bucketUsers, all, func(k, _ []byte) { ids = append(ids, string(k[len(all):])) })
		return nil
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	return ids
}
