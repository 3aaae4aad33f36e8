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

// refusal returns the reason code of an error that refuses a CONNECT. Its text
// is mochi's for the code: what the error says stays in the log.
func refusal(err error) packets.Code {
	if code, ok := errors.AsType[packets.Code](err); ok {
		return code
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.code
		}
	}
	return packets.ErrUnspecifiedError
}

// connack returns the code for a client of that version. MQTT 3.1.1 knows five
// (section 3.2.2.3); mochi translates only some to it, and one of them wrongly.
func connack(code packets.Code, version byte) packets.Code {
	if version >= 5 {
		return code
	}
	switch code.Code {
	case packets.ErrUnsupportedProtocolVersion.Code:
		return packets.Err3UnsupportedProtocolVersion
	case packets.ErrClientIdentifierNotValid.Code:
		return packets.Err3ClientIdentifierNotValid
	case packets.ErrServerUnavailable.Code, packets.ErrServerBusy.Code,
		packets.ErrQuotaExceeded.Code, packets.ErrConnectionRateExceeded.Code:
		return packets.Err3ServerUnavailable
	case packets.ErrBadUsernameOrPassword.Code:
		return packets.ErrMalformedUsernameOrPassword // 4, whatever its name
	default:
		return packets.Err3NotAuthorized
	}
}
