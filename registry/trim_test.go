package registry_test

import (
	"context"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

func TestAuditEntriesAreForgottenOnceTheyAreOldEnough(t *testing.T) {
	r := registrytest.New(t)
	const many = 2500 // more than go in one transaction
	_, err := r.Store.Update(t.Context(), func(_ context.Context, tx registry.Tx) error {
		for range many {
			tx.Audit(registry.AuditEntry{Action: "look"})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := r.Store.Audit(t.Context(), 1<<20)
	if err != nil || len(entries) < many {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if n, err := r.Service.TrimAudit(t.Context(), time.Hour); err != nil || n != 0 {
		t.Errorf("forgot %d, %v: want none of the last hour", n, err)
	}
	r.Turn(2 * time.Hour)
	if n, err := r.Service.TrimAudit(t.Context(), time.Hour); err != nil || n != len(entries) {
		t.Errorf("forgot %d, %v: want all %d", n, err, len(entries))
	}
	if left, err := r.Store.Audit(t.Context(), 9); err != nil || len(left) != 0 {
		t.Errorf("left %d, %v: want none", len(left), err)
	}
}
