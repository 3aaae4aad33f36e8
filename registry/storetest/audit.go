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
	for _, action := range []registry.Action{"a", "b", "c", "d"} {
		update(t, s, func(_ context.Context, tx registry.Tx) error {
			tx.Audit(registry.AuditEntry{Action: action})
			return nil
		})
	}
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
