package authhook

import (
	"context"
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// refusals says what an error of the registry is in MQTT 5 (section 3.2.2.2).
var refusals = []struct {
	err  error
	code packets.Code
}{
	{registry.Unauthenticated, packets.ErrBadUsernameOrPassword},
	{registry.Forbidden, packets.ErrNotAuthorized},
	{registry.Locked, packets.ErrBanned},
	{registry.Busy, packets.ErrServerBusy},
	{registry.Unavailable, packets.ErrServerUnavailable},
	{context.DeadlineExceeded, packets.ErrServerUnavailable},
	{context.Canceled, packets.ErrServerUnavailable},
}

// refusal is why a client is refused. The client is told the code; what the cause
// says is for the log.
type refusal struct {
	code  packets.Code
	cause error
}

// Error returns what the cause says.
func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the code and the cause.
func (r *refusal) Unwrap() []error { return []error{r.code, r.cause} }

// refused makes an error one that has its reason code.
func refused(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return &refusal{r.code, err}
		}
	}
	return &refusal{packets.ErrUnspecifiedError, err}
}

// unavailable makes an error one that says that something can't be told now.
func unavailable(err error) error { return &refusal{packets.ErrServerUnavailable, err} }
