package registry

import "context"

// ClearingRetained writes into the audit log that a caller is about to have the
// retained messages cleared that a filter matches, of which there are n now. They
// are the broker's and no part of the register, so no number is taken. It is said
// first: what can't be audited is not done.
func (s *Service) ClearingRetained(ctx context.Context, caller Caller, filter string, n int) error {
	_, err := s.change(ctx, caller, func(_ context.Context, tx Tx, by *authority) error {
		by.audit(tx, "retained.clear", filter, "%d messages", n)
		return nil
	})
	return err
}
