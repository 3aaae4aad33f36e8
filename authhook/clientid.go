package authhook

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// validClientID reports why nobody may connect with a client ID of more than
// longest bytes, with control characters or wildcards, or with one that is
// reserved: mochi's own inline client, and all that begin with $. A slash is
// allowed, though ${clientid} stands for no such ID.
func validClientID(id string, longest int) error {
	switch {
	case len(id) > longest:
		return packets.ErrClientIdentifierTooLong
	case !utf8.ValidString(id), strings.ContainsFunc(id, unicode.IsControl), strings.ContainsAny(id, "+#"):
		return fmt.Errorf("%w: holds what it must not", packets.ErrClientIdentifierNotValid)
	case id == mqtt.InlineClientId, strings.HasPrefix(id, "$"):
		return fmt.Errorf("%w: reserved", packets.ErrClientIdentifierNotValid)
	default:
		return nil
	}
}
