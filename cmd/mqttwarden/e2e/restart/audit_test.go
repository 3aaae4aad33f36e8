package restart

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/rig"
	"mqttwarden/registry"
	"mqttwarden/registry/sqlstore"
)

func TestOldAuditEntriesGoWithTheStart(t *testing.T) {
	for keep, want := range map[string]float64{"24h": 3, "0s": 0} {
		dir := rig.UsedDir(t)
		auditedAt(t, filepath.Join(dir, "mqttwarden.db"), time.Now().Add(-48*time.Hour), 3)
		// The oldest by ID are of the first start, and young: those stay.
		rig.LaunchIn(t, dir, "--audit-keep", keep).Reaches("mqttwarden_audit_trimmed_total", want)
	}
}

func TestNobodyKeepsTheAuditLogForAnInstant(t *testing.T) {
	_, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(t.TempDir(), "--audit-keep", "1h")...)
	if err == nil || !strings.Contains(err.Error(), "audit-keep: must be 0, for ever, or at least 24h") {
		t.Errorf("got %v, want it refused", err)
	}
}

// auditedAt writes n entries to a store at a time.
func auditedAt(t *testing.T, path string, at time.Time, n int) {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(t.Context(), func(_ context.Context, tx registry.Tx) error {
		for range n {
			tx.Audit(registry.AuditEntry{Action: "look"})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
