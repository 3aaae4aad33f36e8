package frame

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	mochi "github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"
)

// FuzzCheckNeverPanics feeds a connection any stream of bytes. Nothing panics,
// and what is allocated does not depend on what the bytes promise.
func FuzzCheckNeverPanics(f *testing.F) {
	publish := packet(0x32, s("a/b"), id(7), raw("payload"))
	f.Add(append(connect311(0xF6, s("id"), s("t"), s("p"), s("u"), s("p")), publish...))
	f.Add(append(connect31(0xC2, s("id")), x("8A06000100016101")...))
	f.Add(append(connect5(0x02, props(prop16(0x21, 1), propText(0x15, "m")), s("id")), packet(0xF0, x("18"), props(propText(0x15, "m")))...))
	f.Add(append(connect5(0x02, none, s("id")), packet(0x30, s(""), props(prop16(0x23, 3)))...))
	f.Add(append(connect5(0x02, none, s("id")), packet(0x82, id(1), props(x("0BFFFFFF7F")), s("$share/g/+/#"), x("2A"))...))
	f.Add(x("10FFFFFF7F"))
	f.Add(x("82FFFFFFFF7F"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := converse(stream)
		runtime.ReadMemStats(&after)
		// A violation or two, the method's name, the aliases; and some for the
		// fuzzer itself, which runs at the same time.
		const most = 256 << 10
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%d packets in %d bytes: %d bytes allocated, want %d at most", n, len(stream), got, most)
		}
	})
}

// converse reads a stream as the connection does, and returns how many packets
// passed.
func converse(stream []byte) int {
	c := NewChecker(Config{TopicAliasMaximum: 8})
	var e *Exchange
	for n := 0; ; n++ {
		h, size, err := ParseHeader(stream)
		if err != nil || c.CheckHeader(h) != nil || len(stream) < size+h.Remaining {
			return n
		}
		body := stream[size : size+h.Remaining]
		stream = stream[size+h.Remaining:]
		if c.Check(h, body) != nil {
			return n
		}
		if e == nil {
			view, err := ParseConnect(body)
			if err != nil {
				panic("ParseConnect refuses what Check accepts: " + err.Error())
			}
			e = NewExchange(c.Version(), view.ReceiveMaximum, 8)
			Pad(h, body, &view)
		}
		exchange(e, h, body, n)
		c.Normalize(h, body)
		Topic(h, body)
		if h.Type == TypePublish && c.Aliased() {
			c.AppendWhole(nil, h, body)
		}
		c.Accept()
	}
}

// exchange does with the nth packet of a client what a connection does, and with
// a broker that answers what it is asked and sends back all it is told.
func exchange(e *Exchange, h Header, body []byte, n int) {
	if h.Type == TypePublish && n%5 == 4 {
		e.Refuse(h, body, codeQuotaExceeded)
		return
	}
	const as = 1000
	var packetID [2]byte
	binary.BigEndian.PutUint16(packetID[:], as)
	v := e.FromClient(h, body, as)
	e.FromServer(h, body) // the same identifier in both directions
	if v.ID == as {
		receipt := Header{Type: h.Type + 1, Remaining: 2} // PUBACK, SUBACK, UNSUBACK
		if h.Type == TypePublish && h.QoS() == 2 {
			receipt.Type = TypePubrec
		}
		e.FromServer(receipt, packetID[:])
		e.FromServer(Header{Type: TypePubcomp, Remaining: 2}, packetID[:])
	}
	for {
		next, _, ok := e.Next()
		if !ok {
			break
		}
		topicAndID := [5]byte{0, 1, 't', byte(next >> 8), byte(next)}
		e.FromServer(Header{Type: TypePublish, Flags: 0b0010, Remaining: 5}, topicAndID[:])
	}
	if h.Type == TypeDisconnect {
		received, sent := e.Open()
		NewExchange(e.version, 8, 8).Restore(received, sent)
	}
}

// FuzzMalformedNeverPasses: whatever passes is read by mochi's decoder without
// error or panic, means to it what it means to us, and comes out of its encoder
// with the same meaning. MQTT 5 packets are shown to paho's decoder, too.
func FuzzMalformedNeverPasses(f *testing.F) {
	for _, p := range [][]byte{
		connect31(0xC3, s("id"), s("u"), s("p")), connect311(0xF6, s("id"), s("t"), s("p"), s("u"), s("p")),
		connect5(0xF6, props(prop32(0x11, 1), prop16(0x21, 9)), s("id"), props(prop32(0x18, 5), propText(0x08, "r")), s("t"), s("p"), s("u"), s("p")),
		packet(0x30, s("a/b"), raw("payload")), packet(0x3D, s("a"), id(1), props(prop8(1, 1), userProp("a", "b"), propText(0x09, "c")), raw("payload")),
		packet(0x40, id(1), x("10")), packet(0x50, id(1), x("87"), props(propText(0x1F, "no"))), packet(0x62, id(1), x("92")), packet(0x70, id(1)),
		packet(0x82, id(1), s("a/+/#"), x("01")), packet(0x82, id(1), props(x("0B07")), s("$share/g/a"), x("2A"), s("b"), x("04")),
		packet(0xA2, id(1), none, s("a"), s("b")), packet(0xC0), packet(0xE0), packet(0xE0, x("04")), packet(0xE0, x("00"), props(prop32(0x11, 5))),
		packet(0xF0, x("18"), props(propText(0x15, "m"), propText(0x16, "data"))), packet(0x8A, id(1), s("a"), x("00")),
	} {
		_, n, err := ParseHeader(p)
		if err != nil {
			f.Fatal(err)
		}
		for _, version := range []byte{Level31, Level311, Level5} {
			f.Add(version, p[0], p[n:])
		}
	}
	f.Fuzz(func(t *testing.T, version, first byte, body []byte) { readsTheSame(t, version, first, body) })
}

// TestMutationsNeverPassMalformed is the same for packets that are nearly right.
func TestMutationsNeverPassMalformed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SampledFrom([]byte{Level31, Level311, Level5}).Draw(t, "level")
		encoded, _ := wellFormed(t, version)
		_, n, err := ParseHeader(encoded)
		if err != nil {
			t.Fatal(err)
		}
		first, body := encoded[0], slices.Clone(encoded[n:])
		for range rapid.IntRange(1, 3).Draw(t, "mutations") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			value := rapid.OneOf(rapid.ByteMax(4), rapid.Byte()).Draw(t, "byte")
			switch rapid.IntRange(0, 4).Draw(t, "mutation") {
			case 0:
				body = body[:at]
			case 1:
				body = slices.Insert(body, at, value)
			case 2:
				body = slices.Delete(body, at, min(at+1, len(body)))
			case 3:
				first ^= 1 << (value % 8)
			default:
				if at < len(body) {
					body[at] = value
				}
			}
		}
		readsTheSame(t, version, first, body)
	})
}

// readsTheSame checks that a packet, if it passes, is to mochi and to paho what
// it is to us.
func readsTheSame(t rapid.TB, version, first byte, body []byte) {
	h := Header{Type: Type(first >> 4), Flags: first & 15, Remaining: len(body)}
	c := fuzzChecker(t, version, h.Type)
	if c == nil || c.Check(h, body) != nil {
		return
	}
	before := append(h.Append(nil), body...)
	h, body, changed := c.Normalize(h, body)
	if same := bytes.Equal(before, append(h.Append(nil), body...)); changed == same {
		t.Fatalf("% X normalized to %+v % X: changed is %v", before, h, body, changed)
	}
	h, body, _ = pad(h, body) // mochi has no empty will or password
	got, err := mochiDecode(c.Version(), h.Append(nil)[0], body)
	if err != nil {
		t.Fatalf("%v % X passed, and mochi says: %v", h.Type, body, err)
	}
	sameMeaning(t, h, body, &got)
	again := encodeAgain(t, c.Version(), got)
	if diff := cmp.Diff(got, again, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(mochi.FixedHeader{}, "Remaining"),
		cmpopts.IgnoreFields(mochi.Packet{}, "Mods")); diff != "" {
		t.Fatalf("%v % X encoded and decoded again by mochi: %s", h.Type, body, diff)
	}
	if c.Version() != Level5 || h.Type == TypeDisconnect && len(body) == 0 { // paho does not know this short form
		return
	}
	if _, err := packets.ReadPacket(bytes.NewReader(append(h.Append(nil), body...))); err != nil {
		t.Fatalf("%v % X passed, and paho says: %v", h.Type, body, err)
	}
}

// fuzzChecker returns a Checker in the state for a packet of type typ, or nil.
func fuzzChecker(t rapid.TB, version byte, typ Type) *Checker {
	t.Helper()
	config := Config{TopicAliasMaximum: 65535}
	switch {
	case version < Level31 || version > Level5:
		return nil
	case typ == TypeConnect:
		return NewChecker(config)
	case typ == TypeAuth:
		return after(t, config, connect5(0x02, props(propText(0x15, "m")), s("id")))
	default:
		return signedIn(t, config, version)
	}
}

// sameMeaning compares what we expose of a packet with what mochi read.
func sameMeaning(t rapid.TB, h Header, body []byte, p *mochi.Packet) {
	t.Helper()
	if got := PacketID(h, body); got != p.PacketID {
		t.Errorf("packet identifier %d, mochi %d", got, p.PacketID)
	}
	if got := ReasonCode(h, body); got != p.ReasonCode {
		t.Errorf("reason code 0x%02X, mochi 0x%02X", got, p.ReasonCode)
	}
	if got := string(Topic(h, body)); got != p.TopicName {
		t.Errorf("topic %q, mochi %q", got, p.TopicName)
	}
	if h.Type == TypePublish && (h.QoS() != p.FixedHeader.Qos || h.Dup() != p.FixedHeader.Dup || h.Retain() != p.FixedHeader.Retain) {
		t.Errorf("header %+v, mochi %+v", h, p.FixedHeader)
	}
	if h.Type != TypeConnect {
		return
	}
	c, err := ParseConnect(body)
	if err != nil {
		t.Fatal(err)
	}
	theirs := Connect{
		Version: p.ProtocolVersion, CleanStart: p.Connect.Clean, KeepAlive: p.Connect.Keepalive, ClientID: []byte(p.Connect.ClientIdentifier),
		HasUsername: p.Connect.UsernameFlag, HasPassword: p.Connect.PasswordFlag, Username: p.Connect.Username,
		HasWill: p.Connect.WillFlag, Will: Will{
			Topic: []byte(p.Connect.WillTopic), Payload: p.Connect.WillPayload, QoS: p.Connect.WillQos,
			Retain: p.Connect.WillRetain, Delay: p.Connect.WillProperties.WillDelayInterval,
		},
		SessionExpiry: p.Properties.SessionExpiryInterval, MaximumPacketSize: p.Properties.MaximumPacketSize,
		ReceiveMaximum: p.Properties.ReceiveMaximum, TopicAliasMaximum: p.Properties.TopicAliasMaximum,
		ProblemInfo:   !p.Properties.RequestProblemInfoFlag || p.Properties.RequestProblemInfo == 1,
		HasAuthMethod: p.Properties.AuthenticationMethod != "", AuthMethod: []byte(p.Properties.AuthenticationMethod),
	}
	if theirs.ReceiveMaximum == 0 {
		theirs.ReceiveMaximum = 65535 // section 3.1.2.11.3
	}
	if diff := cmp.Diff(theirs, c, cmpopts.IgnoreUnexported(Connect{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("CONNECT: mochi and we read it differently: %s", diff)
	}
}

// encodeAgain passes a packet through mochi's encoder, our Checker and mochi's
// decoder.
func encodeAgain(t rapid.TB, version byte, p mochi.Packet) mochi.Packet {
	t.Helper()
	dropped := p.ReasonCode // mochi leaves out 0x10 when there are no properties
	var b bytes.Buffer
	if err := mochiEncode(&p, &b); err != nil {
		t.Fatalf("passed, and mochi cannot encode it: %v", err)
	}
	h, n, err := ParseHeader(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	body := b.Bytes()[n:]
	if err := fuzzChecker(t, version, h.Type).Check(h, body); err != nil {
		t.Fatalf("passed, and not when mochi encodes it: %v", err)
	}
	again, err := mochiDecode(version, b.Bytes()[0], body)
	if err != nil {
		t.Fatal(err)
	}
	if dropped == 0x10 {
		again.ReasonCode = dropped
	}
	return again
}

// FuzzWellFormedAlwaysPasses: what mochi's and paho's encoders make of packets
// that obey the standard passes.
func FuzzWellFormedAlwaysPasses(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(wellFormedPasses))
}

func TestWellFormedAlwaysPasses(t *testing.T) {
	rapid.Check(t, wellFormedPasses)
}

func wellFormedPasses(t *rapid.T) {
	version := rapid.SampledFrom([]byte{Level31, Level311, Level5}).Draw(t, "level")
	encoded, method := wellFormed(t, version)
	config := Config{MaxPacket: 1 << 20, MaxConnect: 1 << 20, TopicAliasMaximum: 65535}
	c := NewChecker(config)
	switch {
	case Type(encoded[0]>>4) == TypeConnect:
	case method != "":
		c = after(t, config, connect5(0x02, props(propText(0x15, method)), s("id")))
	default:
		c = signedIn(t, config, version)
	}
	if v := verdict(t, c, encoded); v != nil {
		t.Fatalf("% X: %v", encoded, v)
	}
}
