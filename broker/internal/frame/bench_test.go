package frame

import (
	"bytes"
	"testing"
)

// hot are the packets that a broker sees by the million, and their versions.
func hot() []struct {
	name    string
	version byte
	packet  []byte
} {
	payload := bytes.Repeat([]byte("x"), 64)
	topic := s("site1/line2/gw-1/out/temp/1")
	return []struct {
		name    string
		version byte
		packet  []byte
	}{
		{"PUBLISH v3.1.1 QoS 0 64 B", Level311, packet(0x30, topic, payload)},
		{"PUBLISH v3.1.1 QoS 1 64 B", Level311, packet(0x32, topic, id(7), payload)},
		{"PUBLISH v5 QoS 0 64 B", Level5, packet(0x30, topic, none, payload)},
		{"PUBLISH v5 properties 64 B", Level5, packet(0x30, topic, props(prop8(1, 1), prop32(2, 60), userProp("unit", "K")), payload)},
		{"PUBACK v3.1.1", Level311, packet(0x40, id(7))},
		{"PUBACK v5", Level5, packet(0x40, id(7), x("87"), props(propText(0x1F, "no")))},
		{"SUBSCRIBE v3.1.1", Level311, packet(0x82, id(7), s("site1/+/gw-1/#"), x("01"), s("$share/g/a/b"), x("00"))},
		{"SUBSCRIBE v5", Level5, packet(0x82, id(7), props(x("0B07")), s("site1/+/gw-1/#"), x("29"), s("$share/g/a/b"), x("00"))},
		{"UNSUBSCRIBE v5", Level5, packet(0xA2, id(7), none, s("site1/+/gw-1/#"))},
		{"PINGREQ", Level5, packet(0xC0)},
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	for _, tt := range hot() {
		c := signedIn(t, Config{}, tt.version)
		h, n, err := ParseHeader(tt.packet)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() {
			h, _, _ = ParseHeader(tt.packet)
			if c.CheckHeader(h) != nil || c.Check(h, tt.packet[n:]) != nil {
				t.Fatal("refused")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
	connect := connect311(0xF6, s("id"), s("t"), s("p"), s("u"), s("p"))
	if got := testing.AllocsPerRun(100, func() {
		if _, err := ParseConnect(connect[2:]); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("ParseConnect: %v allocations, want 0", got)
	}
}

// TestExchangeDoesNotAllocate keeps a window of 64 messages open in each
// direction.
func TestExchangeDoesNotAllocate(t *testing.T) {
	e := NewExchange(Level5, 100, 100)
	ack := func(typ Type) Header { return Header{Type: typ, Flags: typ.flags(), Remaining: 2} }
	publish := Header{Type: TypePublish, Flags: 0b0100, Remaining: 6}
	body, packetID := append(s("t"), 0, 0, 0), make([]byte, 2)
	next := uint16(0)
	turn := func() {
		next = next%65535 + 1
		body[3], body[4] = byte(next>>8), byte(next)
		as := next ^ 0x8000
		packetID[0], packetID[1] = byte(as>>8), byte(as)
		e.FromClient(publish, body, as)
		e.FromServer(ack(TypePubrec), packetID)
		e.FromServer(ack(TypePubcomp), packetID)
		e.FromServer(publish, body)
		e.FromClient(Header{Type: TypeSubscribe, Flags: 0b0010}, body[3:], as)
		e.FromServer(Header{Type: TypeSuback}, packetID)
		if next <= 64 {
			return
		}
		oldest := next - 64
		packetID[0], packetID[1] = byte(oldest>>8), byte(oldest)
		e.FromClient(ack(TypePubrec), packetID, 0)
		e.FromServer(ack(TypePubrel), packetID)
		e.FromClient(ack(TypePubcomp), packetID, 0)
		e.FromClient(ack(TypePubrel), packetID, 0)
	}
	for range 200 {
		turn()
	}
	if got := testing.AllocsPerRun(1000, turn); got != 0 {
		t.Errorf("%v allocations a message, want 0", got)
	}
	if len(e.out.list) != 64 || len(e.in.list) != 64 {
		t.Errorf("%d messages out and %d in are open, want 64", len(e.out.list), len(e.in.list))
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, tt := range hot() {
		b.Run(tt.name, func(b *testing.B) {
			c := signedIn(b, Config{}, tt.version)
			b.ReportAllocs()
			for b.Loop() {
				h, n, err := ParseHeader(tt.packet)
				if err != nil || c.CheckHeader(h) != nil || c.Check(h, tt.packet[n:]) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	connect := connect5(0xC2, props(prop32(0x11, 60), prop16(0x21, 20)), s("gw-1"), s("user"), s("password"))
	b.ReportAllocs()
	for b.Loop() {
		c := NewChecker(Config{})
		h, n, err := ParseHeader(connect)
		if err != nil || c.Check(h, connect[n:]) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	qos0 := Header{Type: TypePublish, Remaining: 67}
	qos1 := Header{Type: TypePublish, Flags: 0b0010, Remaining: 69}
	puback := Header{Type: TypePuback, Remaining: 2}
	body := append(append(s("t"), 0, 7, 0, 9), make([]byte, 62)...)
	b.Run("PUBLISH QoS 0 from the broker", func(b *testing.B) {
		e := NewExchange(Level5, 100, 100)
		for b.Loop() {
			if e.FromServer(qos0, body).Action != Pass {
				b.Fatal("refused")
			}
		}
	})
	b.Run("PUBLISH QoS 1 from the client and PUBACK", func(b *testing.B) {
		e := NewExchange(Level5, 100, 100)
		b.ReportAllocs()
		for b.Loop() {
			if e.FromClient(qos1, body, 9).Action != Pass || e.FromServer(puback, body[5:7]).Action != Replace {
				b.Fatal("refused")
			}
		}
	})
	b.Run("PUBLISH QoS 1 from the broker and PUBACK", func(b *testing.B) {
		e := NewExchange(Level5, 100, 100)
		b.ReportAllocs()
		for b.Loop() {
			if e.FromServer(qos1, body).Action != Pass || e.FromClient(puback, body[3:5], 0).Action != Pass {
				b.Fatal("refused")
			}
		}
	})
	b.Run("the same with 1000 open", func(b *testing.B) {
		e := NewExchange(Level5, 2000, 100)
		for n := range uint16(1000) {
			e.FromServer(qos1, append(s("t"), id(n+100)...))
		}
		b.ReportAllocs()
		for b.Loop() {
			if e.FromServer(qos1, body).Action != Pass || e.FromClient(puback, body[3:5], 0).Action != Pass {
				b.Fatal("refused")
			}
		}
	})
}
