package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

func certificateCases() []testCase {
	return []testCase{
		{"an issued certificate keeps every field", issuedRoundTrip},
		{"an issued certificate is recorded once", issuedTaken},
		{"an issued certificate that is missing is NotFound", issuedMissing},
		{"issued certificates come the oldest first, by what is asked for", issuedListed},
		{"the first revocation stands", revokedOnce},
		{"all certificates of a user are revoked at once", revokedOfUser},
		{"an issued certificate outlives its user", issuedOutlivesUser},
		{"revocations are those of one authority that expire late enough", revocationsListed},
		{"the last use of a registered certificate stands", usesKept},
		{"uses of certificates that nobody registered are forgotten", usesForgotten},
		{"a removed certificate is known until it is readmitted", certificateRemoved},
		{"issued certificates are found by what they renew", issuedReplacing},
		{"a generation of the authority keeps every field", authorityRoundTrip},
		{"a generation is made once", authorityTaken},
		{"CRL numbers grow, for each generation", crlNumbers},
		{"a trust anchor keeps every field", anchorRoundTrip},
		{"a trust anchor is trusted once", anchorTaken},
		{"a trust anchor that is missing is NotFound", anchorMissing},
	}
}

// issued is a certificate of alice, revoked.
func issued() registry.IssuedCertificate {
	return registry.IssuedCertificate{
		Serial: "0a0b", Fingerprint: fingerprint1, Authority: 2, User: "u-1", Username: "alice", Replaces: fingerprint2,
		NotBefore: at(51), NotAfter: at(52), Issued: at(53), Revoked: at(54), Reason: ca.Superseded, PEM: "-----BEGIN C",
	}
}

// standing is a certificate that was not revoked; serial numbers it.
func standing(serial, user string) registry.IssuedCertificate {
	return registry.IssuedCertificate{
		Serial: serial, Fingerprint: "print of " + serial, Authority: 1, User: registry.UserID(user), Username: "name of " + user,
	}
}

func givenIssued(t *testing.T, s registry.Store, cs ...registry.IssuedCertificate) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		for _, c := range cs {
			if err := tx.CreateIssued(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func issuedRoundTrip(t *testing.T, s registry.Store) {
	want := issued()
	complete(t, want)
	sparse := registry.IssuedCertificate{Serial: "01"}
	givenIssued(t, s, want, sparse)
	same(t, "IssuedBySerial", must(s.IssuedBySerial(t.Context(), want.Serial))(t), want)
	same(t, "IssuedByFingerprint", must(s.IssuedByFingerprint(t.Context(), want.Fingerprint))(t), want)
	same(t, "one with nothing", must(s.IssuedBySerial(t.Context(), "01"))(t), sparse)
	got, total, err := s.Issued(t.Context(), registry.IssuedQuery{})
	if err != nil || total != 2 {
		t.Fatalf("Issued: total %d, %v", total, err)
	}
	same(t, "Issued", got, []registry.IssuedCertificate{sparse, want})
}

func issuedTaken(t *testing.T, s registry.Store) {
	givenIssued(t, s, issued())
	for _, change := range []func(*registry.IssuedCertificate){
		func(c *registry.IssuedCertificate) { c.Serial = "0c" },
		func(c *registry.IssuedCertificate) { c.Fingerprint = "other" },
	} {
		c := issued()
		change(&c)
		refused(t, s, registry.Conflict, "certificate", func(ctx context.Context, tx registry.Tx) error {
			return tx.CreateIssued(ctx, c)
		})
	}
	same(t, "what was there", must(s.IssuedBySerial(t.Context(), "0a0b"))(t), issued())
}

func issuedMissing(t *testing.T, s registry.Store) {
	givenIssued(t, s, issued())
	for _, key := range []string{"", "0A0B", "0b", fingerprint2} {
		_, err := s.IssuedBySerial(t.Context(), key)
		notFound(t, "IssuedBySerial "+key, err)
		_, err = s.IssuedByFingerprint(t.Context(), key)
		notFound(t, "IssuedByFingerprint "+key, err)
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		notFound(t, "RevokeIssued", tx.RevokeIssued(ctx, fingerprint2, at(1), ca.Unspecified))
		return nil
	})
}

// serials joins the serial numbers of certificates, in their order.
func serials(cs []registry.IssuedCertificate) string {
	var all []string
	for _, c := range cs {
		all = append(all, c.Serial)
	}
	return strings.Join(all, " ")
}

func issuedListed(t *testing.T, s registry.Store) {
	var cs []registry.IssuedCertificate
	for i, serial := range []string{"05", "03", "04", "01", "02"} {
		c := standing(serial, "u-1")
		c.Issued, c.NotAfter = at(10-i/2), at(20+i) // 05 and 03 are as old as each other, 04 and 01 too
		if i == 1 || i == 2 {
			c.User, c.Username = "u-2", "name of u-2"
		}
		if i%2 == 0 {
			c.Revoked = at(40)
		}
		cs = append(cs, c)
	}
	givenIssued(t, s, cs...)
	yes, no := true, false
	for _, tt := range []struct {
		name  string
		q     registry.IssuedQuery
		total int
		want  string
	}{
		{"all", registry.IssuedQuery{}, 5, "02 01 04 03 05"},
		{"first page", registry.IssuedQuery{Limit: 2}, 5, "02 01"},
		{"last page", registry.IssuedQuery{Offset: 4, Limit: 2}, 5, "05"},
		{"past the end", registry.IssuedQuery{Offset: 9, Limit: 2}, 5, ""},
		{"of a user", registry.IssuedQuery{User: "u-2"}, 2, "04 03"},
		{"of a name", registry.IssuedQuery{Username: "name of u-2"}, 2, "04 03"},
		{"of a user with another's name", registry.IssuedQuery{User: "u-1", Username: "name of u-2"}, 0, ""},
		{"revoked", registry.IssuedQuery{Revoked: &yes}, 3, "02 04 05"},
		{"not revoked", registry.IssuedQuery{Revoked: &no}, 2, "01 03"},
		{"that expire late", registry.IssuedQuery{ExpiresAfter: at(23)}, 2, "02 01"},
		{"that expire early", registry.IssuedQuery{ExpiresBefore: at(22)}, 2, "03 05"},
		{"in between, not revoked", registry.IssuedQuery{ExpiresAfter: at(21), ExpiresBefore: at(24), Revoked: &no}, 2, "01 03"},
		{"a page of a user", registry.IssuedQuery{User: "u-1", Offset: 1, Limit: 1}, 3, "01"},
	} {
		got, total, err := s.Issued(t.Context(), tt.q)
		if err != nil || total != tt.total || serials(got) != tt.want {
			t.Errorf("%s: got %q of %d, %v; want %q of %d", tt.name, serials(got), total, err, tt.want, tt.total)
		}
	}
}

func revokedOnce(t *testing.T, s registry.Store) {
	givenIssued(t, s, standing("01", "u-1"), standing("02", "u-1"))
	for _, reason := range []ca.Reason{ca.KeyCompromise, ca.Superseded} {
		n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
			return tx.RevokeIssued(ctx, "print of 01", at(int(reason)), reason)
		})
		if n != 0 {
			t.Errorf("without Touch it took the number %d", n)
		}
	}
	want := standing("01", "u-1")
	want.Revoked, want.Reason = at(int(ca.KeyCompromise)), ca.KeyCompromise
	same(t, "the revoked one", must(s.IssuedBySerial(t.Context(), "01"))(t), want)
	same(t, "the other one", must(s.IssuedBySerial(t.Context(), "02"))(t), standing("02", "u-1"))
}

func revokedOfUser(t *testing.T, s registry.Store) {
	first := standing("01", "u-1")
	first.Revoked, first.Reason = at(1), ca.KeyCompromise
	givenIssued(t, s, first, standing("02", "u-1"), standing("03", "u-2"))
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		return tx.RevokeIssuedOf(ctx, "u-1", at(2), ca.CessationOfOperation)
	})
	same(t, "one that was revoked before", must(s.IssuedBySerial(t.Context(), "01"))(t), first)
	second := standing("02", "u-1")
	second.Revoked, second.Reason = at(2), ca.CessationOfOperation
	same(t, "one that was not", must(s.IssuedBySerial(t.Context(), "02"))(t), second)
	same(t, "another user's", must(s.IssuedBySerial(t.Context(), "03"))(t), standing("03", "u-2"))
}

func issuedOutlivesUser(t *testing.T, s registry.Store) {
	given(t, s, bob())
	givenIssued(t, s, standing("01", "u-2"))
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteUser(ctx, "u-2") })
	same(t, "after its user is gone", must(s.IssuedBySerial(t.Context(), "01"))(t), standing("01", "u-2"))
}

func revocationsListed(t *testing.T, s registry.Store) {
	revoked := func(serial string, authority uint64, notAfter time.Time) registry.IssuedCertificate {
		c := standing(serial, "u-1")
		c.Authority, c.NotAfter, c.Revoked, c.Reason = authority, notAfter, at(7), ca.PrivilegeWithdrawn
		return c
	}
	other := standing("05", "u-1")
	other.NotAfter = at(30)
	givenIssued(
		t, s, other, revoked("01", 1, at(20)), revoked("a102030405060708090a0b0c0d0e0f10", 1, at(21)),
		revoked("03", 1, at(19)), revoked("04", 2, at(30)),
	)
	got := must(s.Revocations(t.Context(), 1, at(20)))(t)
	var all []string
	for _, r := range got {
		all = append(all, ca.FormatSerial(r.Serial))
		if !r.At.Equal(at(7)) || r.Reason != ca.PrivilegeWithdrawn {
			t.Errorf("%v: at %v for %d", r.Serial, r.At, r.Reason)
		}
	}
	slices.Sort(all)
	if want := []string{"01", "a102030405060708090a0b0c0d0e0f10"}; !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
}

func putUses(t *testing.T, s registry.Store, used map[string]time.Time) {
	t.Helper()
	n := update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.PutCertificateUses(ctx, used) })
	if n != 0 {
		t.Errorf("uses took the number %d", n)
	}
}

func usesKept(t *testing.T, s registry.Store) {
	before := given(t, s, operators(), auditors(), alice(), bob())
	same(t, "at first", must(s.CertificateUses(t.Context(), "u-1"))(t), map[string]time.Time{})
	putUses(t, s, map[string]time.Time{fingerprint1: at(2), fingerprint2: at(3), "of nobody": at(4)})
	putUses(t, s, map[string]time.Time{fingerprint1: at(1), fingerprint2: at(5)})
	putUses(t, s, nil)
	same(t, "uses", must(s.CertificateUses(t.Context(), "u-1"))(t), map[string]time.Time{fingerprint1: at(2), fingerprint2: at(5)})
	same(t, "uses of another", must(s.CertificateUses(t.Context(), "u-2"))(t), map[string]time.Time{})
	if got := must(s.User(t.Context(), "u-1"))(t); got.Version != before-1 {
		t.Errorf("a use changed the version to %d, want %d", got.Version, before-1)
	}
	u := alice() // its certificates are written anew, and keep their uses
	u.Fingerprints[0].Expires = at(40)
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, u) })
	same(t, "after an update", must(s.CertificateUses(t.Context(), "u-1"))(t), map[string]time.Time{fingerprint1: at(2), fingerprint2: at(5)})
}

func usesForgotten(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice())
	putUses(t, s, map[string]time.Time{fingerprint1: at(2), fingerprint2: at(3)})
	forget := func(want int) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			if n := must(tx.ForgetCertificateUses(ctx))(t); n != want {
				t.Errorf("forgot %d, want %d", n, want)
			}
			return nil
		})
	}
	forget(0)
	u := alice()
	u.Fingerprints = u.Fingerprints[:1]
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, u) })
	same(t, "after one is gone", must(s.CertificateUses(t.Context(), "u-1"))(t), map[string]time.Time{fingerprint2: at(3)})
	forget(1)
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.UpdateUser(ctx, alice()) })
	same(t, "after it came back", must(s.CertificateUses(t.Context(), "u-1"))(t), map[string]time.Time{fingerprint2: at(3)})
}

// sealed is a generation of the authority.
func sealed() registry.SealedAuthority {
	return registry.SealedAuthority{
		Generation: 2, Chain: "-----BEGIN D", Key: []byte{1, 255}, RootKey: []byte("root"), Created: at(55),
	}
}

func givenAuthorities(t *testing.T, s registry.Store, as ...registry.SealedAuthority) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		for _, a := range as {
			if err := tx.CreateAuthority(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

func authorityRoundTrip(t *testing.T, s registry.Store) {
	if got := must(s.Authorities(t.Context()))(t); len(got) != 0 {
		t.Errorf("a new store has %v", got)
	}
	want := sealed()
	complete(t, want)
	imported := registry.SealedAuthority{Generation: 10, Chain: "x", Key: []byte{0, 1, 0}}
	first := registry.SealedAuthority{Generation: 1, Chain: "y", Key: []byte("l")}
	givenAuthorities(t, s, imported, want, first)
	same(t, "Authorities", must(s.Authorities(t.Context()))(t), []registry.SealedAuthority{first, want, imported})
}

func authorityTaken(t *testing.T, s registry.Store) {
	givenAuthorities(t, s, sealed())
	refused(t, s, registry.Conflict, "id", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateAuthority(ctx, registry.SealedAuthority{Generation: 2, Chain: "other"})
	})
	same(t, "what was there", must(s.Authorities(t.Context()))(t), []registry.SealedAuthority{sealed()})
}

func crlNumbers(t *testing.T, s registry.Store) {
	givenAuthorities(t, s, sealed(), registry.SealedAuthority{Generation: 3})
	for _, tt := range []struct{ generation, least, want uint64 }{
		{2, 0, 1},
		{2, 0, 2},
		{2, 2, 3},
		{2, 100, 100},
		{2, 7, 101},
		{3, 1, 1}, // its own line
		{2, 1 << 40, 1 << 40},
		{2, 0, 1<<40 + 1},
	} {
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			if got := must(tx.NextCRL(ctx, tt.generation, tt.least))(t); got != tt.want {
				t.Errorf("generation %d, at least %d: got %d, want %d", tt.generation, tt.least, got, tt.want)
			}
			return nil
		})
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		_, err := tx.NextCRL(ctx, 9, 1)
		notFound(t, "NextCRL of no generation", err)
		return nil
	})
}
