package secret

import (
	"errors"
	"fmt"
)

// What one hash may cost, whether its parameters come from our own configuration or
// from a stored hash. At the limit it is 256 MiB and about a second of one core.
const (
	maxMemory  = 256 << 10 // KiB
	maxTime    = 64        // passes
	maxThreads = 16
	maxWork    = 1 << 20 // KiB times passes
)

// Params are the cost parameters of Argon2id (RFC 9106 section 3.1).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8  // lanes; one hash keeps as many cores busy
}

// DefaultParams returns the second choice of the OWASP password storage cheat
// sheet, 19 MiB and two passes: as strong as its first and lighter on memory.
func DefaultParams() Params {
	return Params{Memory: 19 << 10, Time: 2, Threads: 1}
}

// Validate returns every reason why p is not usable, nil if there is none. It
// keeps one hash from taking the machine down; it does not judge whether p is
// strong enough.
func (p Params) Validate() error {
	var errs []error
	if p.Threads < 1 || p.Threads > maxThreads {
		errs = append(errs, fmt.Errorf("threads: %d: must be 1 to %d", p.Threads, maxThreads))
	}
	if p.Time < 1 || p.Time > maxTime {
		errs = append(errs, fmt.Errorf("time: %d: must be 1 to %d passes", p.Time, maxTime))
	}
	if least := 8 * uint32(p.Threads); p.Memory < least || p.Memory > maxMemory { // RFC 9106 section 3.1
		errs = append(errs, fmt.Errorf("memory: %d: must be %d to %d KiB", p.Memory, least, maxMemory))
	}
	if work := uint64(p.Memory) * uint64(p.Time); work > maxWork {
		errs = append(errs, fmt.Errorf("memory times time: %d: must be at most %d KiB", work, maxWork))
	}
	return errors.Join(errs...)
}
