package registry

import (
	"context"
	"time"
)

// What is trimmed goes in pieces, each a transaction of its own: those who change the
// register wait for one piece at most. A long past goes in several sweeps.
const (
	trimPiece  = 1000 // rows
	trimPieces = 100  // in one sweep
)

// TrimAudit forgets the audit entries that are older than keep, the oldest first, and
// returns how many. One sweep forgets 100,000 at most.
func (s *Service) TrimAudit(ctx context.Context, keep time.Duration) (total int, err error) {
	before := s.now().Add(-keep)
	for range trimPieces {
		n := 0
		_, err = s.store.Update(ctx, func(ctx context.Context, tx Tx) (err error) {
			n, err = tx.TrimAudit(ctx, before, trimPiece)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < trimPiece {
			break
		}
	}
	return total, nil
}
