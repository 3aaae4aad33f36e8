package storetest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"mqttwarden/registry"
)

func auditCases() []testCase {
	return []testCase{
		{"an audit entry keeps every field", auditRoundTrip},
		{"the store fills in ID, time and change", auditFilledIn},
		{"audit entries come the newest first", auditNewestFirst},
		{"a change without a number is audited too", auditWithoutNumber},
		{"addresses of every kind are kept", auditAddresses},
		{"old audit entries go, the oldest first", auditTrimmed},
		{"the IDs of audit entries that went are not given out again", auditTrimmedIDs},
	}
}

func auditRoundTrip(t *testing.T, s registry.Store) {
	want := entry()
	complete(t, want)
	update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Touch(registry.RoleChange, "r-1")
		tx.Audit(want)
		return nil
	})
	got := must(s.Audit(t.Context(), 9))(t)
	if len(got) != 1 {
		t.Fatalf("got %d entries, want 1", len(got))
	}
	want.Time = got[0].Time // the store's clock
	same(t, "entry", got[0], want)
}

func auditFilledIn(t *testing.T, s registry.Store) {
	update(t, s, touch("u-1"))
	n := update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Audit(registry.AuditEntry{ID: 77, Change: 88, Time: at(1), Action: "one"})
		touchAll(tx, "u-1", "u-2")
		tx.Audit(registry.AuditEntry{ID: 77, Change: 88, Time: at(1), Action: "two"})
		return nil
	})
	row := must(s.Changes(t.Context(), n-1, 1))(t)[0]
	for i, e := range must(s.Audit(t.Context(), 9))(t) {
		if want := uint64(2 - i); e.ID != want || e.Change != n {
			t.Errorf("entry %s has ID %d and change %d, want %d and %d", e.Action, e.ID, e.Change, want, n)
		}
		if !e.Time.Equal(row.Time) || e.Time.Location() != time.UTC {
			t.Errorf("entry %s has the time %v, want that of its change, %v", e.Action, e.Time, row.Time)
		}
	}
}

func auditNewestFirst(t *testing.T, s registry.Store) {
	audited(t, s, "a", "b", "c", "d")
	for limit, want := range map[int]string{0: "", 1: "d", 3: "dcb", 4: "dcba", 9: "dcba"} {
		var got string
		last := uint64(1 << 62)
		for _, e := range must(s.Audit(t.Context(), limit))(t) {
			got += string(e.Action)
			if e.ID >= last {
				t.Errorf("ID %d comes after %d", e.ID, last)
			}
			last = e.ID
		}
		if got != want {
			t.Errorf("the last %d: got %q, want %q", limit, got, want)
		}
	}
}

func auditWithoutNumber(t *testing.T, s registry.Store) {
	update(t, s, touch("u-1"))
	n := update(t, s, func(_ context.Context, tx registry.Tx) error {
		tx.Audit(registry.AuditEntry{Action: "look"})
		return nil
	})
	got := must(s.Audit(t.Context(), 9))(t)
	if n != 0 || len(got) != 1 || got[0].Change != 0 || got[0].Action != "look" {
		t.Errorf("got %+v with the number %d, want one entry without a number", got, n)
	}
}

func auditAddresses(t *testing.T, s registry.Store) {
	var unknown netip.Addr
	addrs := []netip.Addr{
		unknown, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::1"),
		netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("fe80::1%eth0"), netip.IPv6Unspecified(),
	}
	update(t, s, func(_ context.Context, tx registry.Tx) error {
		for _, a := range addrs {
			tx.Audit(registry.AuditEntry{Remote: a})
		}
		return nil
	})
	for i, e := range must(s.Audit(t.Context(), 99))(t) {
		if want := addrs[len(addrs)-1-i]; e.Remote != want {
			t.Errorf("got %v, want %v", e.Remote, want)
		}
	}
}

// trim removes old audit entries, which takes no number, and wants n of them removed.
func trim(t *testing.T, s registry.Store, before time.Time, limit, n int) {
	t.Helper()
	number := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		got, err := tx.TrimAudit(ctx, before, limit)
		if err == nil && got != n {
			t.Errorf("removed %d of those before %v, want %d", got, before, n)
		}
		return err
	})
	if number != 0 {
		t.Errorf("got the number %d, want none: no decision changes", number)
	}
}

func auditTrimmed(t *testing.T, s registry.Store) {
	audited(t, s, "a", "b", "c", "d")
	all := must(s.Audit(t.Context(), 9))(t)
	oldest, newest := all[3].Time, all[0].Time
	trim(t, s, oldest, 9, 0)
	trim(t, s, newest.Add(time.Second), 0, 0)
	trim(t, s, newest.Add(time.Second), 1, 1)
	same(t, "entries", must(s.Audit(t.Context(), 9))(t), all[:3])
	trim(t, s, newest.Add(time.Second), 2, 2)
	same(t, "entries", must(s.Audit(t.Context(), 9))(t), all[:1])
}

func auditTrimmedIDs(t *testing.T, s registry.Store) {
	audited(t, s, "a", "b")
	trim(t, s, must(s.Audit(t.Context(), 1))(t)[0].Time.Add(time.Second), 9, 2)
	audited(t, s, "c")
	if got := must(s.Audit(t.Context(), 9))(t); len(got) != 1 || got[0].ID != 3 {
		t.Errorf("got %+v, want one entry with the ID 3", got)
	}
}

// audited writes an entry for each action, in a transaction of its own.
func audited(t *testing.T, s registry.Store, actions ...registry.Action) {
	t.Helper()
	for _, action := range actions {
		update(t, s, func(_ context.Context, tx registry.Tx) error {
			tx.Audit(registry.AuditEntry{Action: action})
			return nil
		})
	}
}
