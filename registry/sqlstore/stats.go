package sqlstore

// Stats tells how the store fares.
type Stats struct {
	FailedWrites uint64 // not made because the database could not be used, those of Ping included
	Retries      uint64 // transactions that were run once more, since others were in their way
	Connections  int    // that there may be
	InUse        int    // of them
	Waits        uint64 // how often one was waited for
}

// Stats returns the figures of this moment.
func (s *Store) Stats() Stats {
	stats := Stats{FailedWrites: s.write.failures.Load(), Retries: s.write.retries.Load() + s.read.retries.Load()}
	for _, p := range []*pool{s.write, s.read} {
		db := p.db.Stats()
		stats.Connections += db.MaxOpenConnections
		stats.InUse += db.InUse
		stats.Waits += uint64(db.WaitCount) // #nosec G115 -- a count
	}
	return stats
}
