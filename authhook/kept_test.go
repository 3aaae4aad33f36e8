package authhook

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// No field is zero: a zero comes back even if it is forgotten.
func TestNothingIsForgottenOfAProofAndAWill(t *testing.T) {
	proof := registry.Proof{
		Username: "alice", PasswordSet: time.Unix(1, 5).UTC(), Certificate: "ab", CommonName: "cn", Trusted: true, Anchor: "cd",
		Token: "t1", Expires: time.Unix(2, 7).UTC(),
	}
	w := &will{topic: "a", message: packets.Packet{
		FixedHeader: packets.FixedHeader{Qos: 2, Retain: true},
		Payload:     []byte{0, 1},
		Properties: packets.Properties{
			PayloadFormat: 1, PayloadFormatFlag: true, MessageExpiryInterval: 9, ContentType: "c", ResponseTopic: "r",
			CorrelationData: []byte{2}, User: []packets.UserProperty{{Key: "k", Val: "v"}},
		},
	}}
	k := keep(&proof)
	k.Will = keepWill(w)
	var back kept
	if err := json.Unmarshal(encode(k), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(proof, back.proof(), cmpopts.IgnoreUnexported(registry.Proof{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(w, back.Will.will(), cmp.AllowUnexported(will{})); diff != "" {
		t.Error(diff)
	}
}
