package storetest

import (
	"context"
	"testing"

	"mqttwarden/registry"
)

// plant is a trust anchor.
func plant() registry.Anchor {
	return registry.Anchor{
		ID: "an-2", Subject: "CN=Plant CA,O=Plant", Issuer: "CN=Root", Serial: "07", NotBefore: at(56), NotAfter: at(57), Added: at(58),
		PEM: "-----BEGIN E",
	}
}

func givenAnchors(t *testing.T, s registry.Store, as ...registry.Anchor) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx registry.Tx) error {
		for _, a := range as {
			if err := tx.CreateAnchor(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

func anchorRoundTrip(t *testing.T, s registry.Store) {
	want := plant()
	complete(t, want)
	first, last := registry.Anchor{ID: "an-1", Subject: "z"}, registry.Anchor{ID: "an-3", Subject: "a"}
	givenAnchors(t, s, last, want, first)
	same(t, "Anchor", must(s.Anchor(t.Context(), want.ID))(t), want)
	same(t, "Anchors", must(s.Anchors(t.Context()))(t), []registry.Anchor{first, want, last})
}

func anchorTaken(t *testing.T, s registry.Store) {
	givenAnchors(t, s, plant())
	refused(t, s, registry.Conflict, "id", func(ctx context.Context, tx registry.Tx) error {
		return tx.CreateAnchor(ctx, registry.Anchor{ID: "an-2", Subject: "other"})
	})
}

func anchorMissing(t *testing.T, s registry.Store) {
	givenAnchors(t, s, plant())
	for _, id := range []registry.AnchorID{"an-1", "AN-2", ""} {
		_, err := s.Anchor(t.Context(), id)
		notFound(t, "Anchor "+string(id), err)
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			notFound(t, "DeleteAnchor "+string(id), tx.DeleteAnchor(ctx, id))
			return nil
		})
	}
	update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.DeleteAnchor(ctx, "an-2") })
	if got := must(s.Anchors(t.Context()))(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func certificateRemoved(t *testing.T, s registry.Store) {
	removed := func() bool { return must(s.CertificateRemoved(t.Context(), fingerprint1))(t) }
	if removed() {
		t.Error("removed before it was")
	}
	for range 2 {
		update(t, s, func(ctx context.Context, tx registry.Tx) error {
			return tx.RemoveCertificate(ctx, fingerprint1, at(60))
		})
		if !removed() {
			t.Error("not removed")
		}
	}
	if must(s.CertificateRemoved(t.Context(), fingerprint2))(t) {
		t.Error("another one is removed, too")
	}
	for range 2 {
		update(t, s, func(ctx context.Context, tx registry.Tx) error { return tx.ReadmitCertificate(ctx, fingerprint1) })
		if removed() {
			t.Error("removed though readmitted")
		}
	}
}

func issuedReplacing(t *testing.T, s registry.Store) {
	renewed := standing("02", "u-1")
	renewed.Replaces = fingerprint1
	givenIssued(t, s, standing("01", "u-1"), renewed, issued())
	got, total, err := s.Issued(t.Context(), registry.IssuedQuery{Replaces: fingerprint1})
	if err != nil || total != 1 {
		t.Fatalf("total %d, %v", total, err)
	}
	same(t, "what renews it", got, []registry.IssuedCertificate{renewed})
}
