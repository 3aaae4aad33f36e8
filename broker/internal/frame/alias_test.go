package frame

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mochi "github.com/mochi-mqtt/server/v2/packets"
	"pgregory.net/rapid"
)

// decoded is what mochi reads of a PUBLISH of MQTT 5.
func decoded(t rapid.TB, packet []byte) mochi.Packet {
	t.Helper()
	h, n, err := ParseHeader(packet)
	if err != nil || n+h.Remaining != len(packet) {
		t.Fatalf("% X has a header of %d bytes, and %d behind it: %v", packet, n, h.Remaining, err)
	}
	p, err := mochiDecode(Level5, packet[0], packet[n:])
	if err != nil {
		t.Fatal(err)
	}
	p.FixedHeader.Remaining = 0
	return p
}

// whole is a packet as it is handed on: as it came, or without its alias.
func whole(t rapid.TB, c *Checker, packet []byte) []byte {
	t.Helper()
	if v := verdict(t, c, packet); v != nil {
		t.Fatal(v)
	}
	if !c.Aliased() {
		return packet
	}
	h, n, _ := ParseHeader(packet)
	got, b := c.AppendWhole([]byte("in front"), h, packet[n:])
	b = bytes.TrimPrefix(b, []byte("in front"))
	if again, n, err := ParseHeader(b); err != nil || again != got || n+got.Remaining != len(b) {
		t.Errorf("the header %+v is not that of % X", got, b)
	}
	return b
}

func TestTopicAliasesOfAClientAreResolved(t *testing.T) {
	c := signedIn(t, Config{TopicAliasMaximum: 3, MaxTopic: 9}, Level5)
	alias := func(n uint16) []byte { return prop16(0x23, n) }
	long := strings.Repeat("x", 70000/7)
	for _, tt := range []struct {
		name      string
		sent, got []byte
	}{
		{"without one", packet(0x30, s("a"), none, raw("p")), packet(0x30, s("a"), none, raw("p"))},
		{"it is given a topic", packet(0x30, s("a/b"), props(alias(1)), raw("p")), packet(0x30, s("a/b"), none, raw("p"))},
		{"it stands for that", packet(0x30, s(""), props(alias(1)), raw("q")), packet(0x30, s("a/b"), none, raw("q"))},
		{
			"at QoS 2, sent again, retained, with other properties on both sides",
			packet(0x3D, s(""), id(7), props(propText(0x03, "text"), alias(1), userProp("k", "v")), raw("q")),
			packet(0x3D, s("a/b"), id(7), props(propText(0x03, "text"), userProp("k", "v")), raw("q")),
		},
		{"behind what looks like it", packet(0x32, s(""), id(0x2300), props(userProp("#", "\x01#\x01"), alias(1))), packet(0x32, s("a/b"), id(0x2300), props(userProp("#", "\x01#\x01")))},
		{"it is given another", packet(0x30, s("c"), props(alias(1))), packet(0x30, s("c"), none)},
		{"it stands for the other", packet(0x30, s(""), props(alias(1))), packet(0x30, s("c"), none)},
		{"another one", packet(0x30, s("d"), props(alias(3))), packet(0x30, s("d"), none)},
		{"which does not change the first", packet(0x30, s(""), props(alias(1))), packet(0x30, s("c"), none)},
		{
			"with properties that get shorter than two bytes of length", packet(0x30, s(""), props(alias(1), propText(0x03, strings.Repeat("t", 124)))),
			packet(0x30, s("c"), props(propText(0x03, strings.Repeat("t", 124)))),
		},
		{"of a topic that is too long", packet(0x30, s(long), props(alias(2))), packet(0x30, s(long[:10]), none)},
		{"which stays too long", packet(0x30, s(""), props(alias(2))), packet(0x30, s(long[:10]), none)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := whole(t, c, tt.sent); !bytes.Equal(got, tt.got) {
				t.Errorf("got  % X\nwant % X", got, tt.got)
			}
		})
	}
}

// TestTopicAliasesOfAClientModel: what is handed on is what the client would have
// sent without aliases, whatever it does with them.
func TestTopicAliasesOfAClientModel(t *testing.T) { rapid.Check(t, clientAliases) }

// FuzzTopicAliasesOfAClient is the same for the fuzzer.
func FuzzTopicAliasesOfAClient(f *testing.F) { f.Fuzz(rapid.MakeFuzz(clientAliases)) }

func clientAliases(t *rapid.T) {
	const most = 4
	c := signedIn(t, Config{TopicAliasMaximum: most, MaxPacket: 1 << 20}, Level5)
	topics := make(map[uint16]string)
	for range rapid.IntRange(1, 20).Draw(t, "messages") {
		p := mochiPacket(t, Level5, mochi.Publish)
		want := p
		alias := rapid.Uint16Range(0, most).Draw(t, "its alias")
		p.Properties.TopicAlias, p.Properties.TopicAliasFlag = alias, alias > 0
		if known := topics[alias]; known != "" && rapid.Bool().Draw(t, "by its alias alone") {
			p.TopicName, want.TopicName = "", known
		}
		if alias > 0 {
			topics[alias] = want.TopicName
		}
		want.Properties.TopicAlias, want.Properties.TopicAliasFlag = 0, false
		var sent, plain bytes.Buffer
		if mochiEncode(&p, &sent) != nil || mochiEncode(&want, &plain) != nil {
			t.Fatal("mochi encodes none of it")
		}
		if diff := cmp.Diff(decoded(t, plain.Bytes()), decoded(t, whole(t, c, sent.Bytes()))); diff != "" {
			t.Fatalf("other than without an alias (-want +got):\n%s", diff)
		}
	}
}

// shortened returns what the client is sent for a PUBLISH, which is good for long.
func shortened(t rapid.TB, a *Aliaser, packet []byte, largest int) []byte {
	t.Helper()
	h, n, err := ParseHeader(packet)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(packet)
	got := slices.Clone(a.Shorten(h, packet, n, largest))
	if !bytes.Equal(before, packet) {
		t.Fatal("the packet itself was changed")
	}
	return got
}

func TestTopicAliasesOfTheServer(t *testing.T) {
	a := NewAliaser(2)
	with := func(topic string, alias uint16) []byte {
		return packet(0x30, s(topic), props(prop16(0x23, alias)), raw("p"))
	}
	plain := func(topic string) []byte { return packet(0x30, s(topic), none, raw("p")) }
	for _, tt := range []struct {
		name      string
		sent, got []byte
		largest   int
	}{
		{"a topic for the first time", plain("first"), with("first", 1), 0},
		{"and again", plain("first"), with("", 1), 0},
		{"with a limit that it had not kept to", plain("first"), with("", 1), 9},
		{"a topic that is as short as its alias", plain("abcd"), plain("abcd"), 0},
		{"one for which both have no room", plain("second"), plain("second"), 16},
		{"one for which they have", plain("second"), with("second", 2), 17},
		{"one too many", plain("third"), plain("third"), 0},
		{"the first comes", plain("first"), with("", 1), 0},
		{"one too many again, which leaves the second behind", plain("third"), plain("third"), 0},
		{"the first was there meanwhile", plain("third"), plain("third"), 0},
		{"the second was not", plain("third"), with("third", 2), 0},
		{"and has none any more", plain("second"), with("second", 1), 0},
		{"what is sent again is complete", packet(0x3A, s("third"), id(1), none), packet(0x3A, s("third"), id(1), none), 0},
		{
			"at QoS 1, with other properties", packet(0x33, s("third"), id(1), props(userProp("k", "v")), raw("p")),
			packet(0x33, s(""), id(1), props(prop16(0x23, 2), userProp("k", "v")), raw("p")), 0,
		},
	} {
		if got := shortened(t, a, tt.sent, tt.largest); !bytes.Equal(got, tt.got) {
			t.Errorf("%s: got  % X\nwant % X", tt.name, got, tt.got)
		}
	}
	if n := len(a.aliases); n != 2 {
		t.Errorf("%d topics have aliases, want 2", n)
	}
}

// What comes often keeps its alias among topics that come once.
func TestTopicsThatComeOftenKeepTheirAlias(t *testing.T) {
	a := NewAliaser(4)
	short := 0
	for i := range 1000 {
		for _, topic := range []string{"often/1", "often/2", fmt.Sprint("once/", i)} {
			if sent := packet(0x30, s(topic), none); len(shortened(t, a, sent, 0)) < len(sent) {
				short++
			}
		}
	}
	if short < 1990 {
		t.Errorf("%d of 2000 went with their alias alone", short)
	}
}

// TestTopicAliasesOfTheServerModel: a client that keeps to the standard reads what
// it would have been sent without aliases, in fewer bytes or those of one alias
// more.
func TestTopicAliasesOfTheServerModel(t *testing.T) { rapid.Check(t, serverAliases) }

// FuzzTopicAliasesOfTheServer is the same for the fuzzer.
func FuzzTopicAliasesOfTheServer(f *testing.F) { f.Fuzz(rapid.MakeFuzz(serverAliases)) }

func serverAliases(t *rapid.T) {
	most := rapid.Uint16Range(1, 4).Draw(t, "aliases")
	largest := rapid.SampledFrom([]int{0, 20, 100, 1 << 20}).Draw(t, "largest packet")
	a := NewAliaser(most)
	topics := make(map[uint16]string) // of the client
	few := rapid.SampledFrom([]string{"a", "abcd", "one/1", "one/22", "one/333", "one/4444", "one/55555", "one/666666"})
	for range rapid.IntRange(1, 40).Draw(t, "messages") {
		p := mochiPacket(t, Level5, mochi.Publish)
		p.TopicName = few.Draw(t, "topic")
		p.Properties.TopicAlias, p.Properties.TopicAliasFlag = 0, false
		var sent bytes.Buffer
		if err := mochiEncode(&p, &sent); err != nil {
			t.Fatal(err)
		}
		b := shortened(t, a, sent.Bytes(), largest)
		got := decoded(t, b)
		alias := got.Properties.TopicAlias
		switch {
		case alias > most:
			t.Fatalf("alias %d of %d", alias, most)
		case alias > 0 && got.FixedHeader.Dup:
			t.Fatal("what is sent again has an alias")
		case alias > 0 && got.TopicName == "":
			got.TopicName = topics[alias]
		case alias > 0:
			topics[alias] = got.TopicName
			if largest > 0 && len(b) > max(largest, sent.Len()) {
				t.Fatalf("%d bytes, %d at most", len(b), largest)
			}
		}
		got.Properties.TopicAlias, got.Properties.TopicAliasFlag = 0, false
		if diff := cmp.Diff(decoded(t, sent.Bytes()), got); diff != "" {
			t.Fatalf("other than without an alias (-want +got):\n%s", diff)
		}
		if first := alias > 0 && decoded(t, b).TopicName != ""; !first && len(b) >= sent.Len() && alias > 0 || len(b) > sent.Len()+aliasSize+2 {
			t.Fatalf("%d bytes with alias %d, %d without", len(b), alias, sent.Len())
		}
	}
}
