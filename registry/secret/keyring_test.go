package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// testKey returns a master key of 32 times n.
func testKey(n byte) []byte { return bytes.Repeat([]byte{n}, keyLen) }

func ringOf(tb testing.TB, keys ...[]byte) *KeyRing {
	tb.Helper()
	k, err := NewKeyRing(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestSealBindsPurposeAndPlace(t *testing.T) {
	ring := ringOf(t, testKey(1))
	place := []string{"users", "totp_secret", "u-1"}
	plaintext := []byte("JBSWY3DPEHPK3PXP")
	sealed, err := ring.Seal("totp", plaintext, place...)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len(plaintext)+Overhead || bytes.Contains(sealed, plaintext) {
		t.Fatalf("sealed as %x", sealed)
	}
	again, err := ring.Seal("totp", plaintext, place...)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice with the same nonce (%v)", err)
	}
	altered := func(i int, bit byte) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= bit
		return b
	}
	tests := []struct {
		name    string
		ring    *KeyRing
		purpose string
		sealed  []byte
		place   []string
		opens   bool
	}{
		{"as it was sealed", ring, "totp", sealed, place, true},
		{"with another key behind", ringOf(t, testKey(1), testKey(2)), "totp", sealed, place, true},
		{"after a rotation", ringOf(t, testKey(2), testKey(1)), "totp", sealed, place, true},
		{"without the key", ringOf(t, testKey(2)), "totp", sealed, place, false},
		{"for another purpose", ring, "scram", sealed, place, false},
		{"for a longer purpose", ring, "totp ", sealed, place, false},
		{"for no purpose", ring, "", sealed, place, false},
		{"in another row", ring, "totp", sealed, []string{"users", "totp_secret", "u-2"}, false},
		{"in another column", ring, "totp", sealed, []string{"users", "scram_key", "u-1"}, false},
		{"in another table", ring, "totp", sealed, []string{"clients", "totp_secret", "u-1"}, false},
		{"with the context swapped", ring, "totp", sealed, []string{"totp_secret", "users", "u-1"}, false},
		{"with the context divided elsewhere", ring, "totp", sealed, []string{"users", "totp_secretu", "-1"}, false},
		{"with the context joined", ring, "totp", sealed, []string{"users", "totp_secret3:u-1"}, false},
		{"with less context", ring, "totp", sealed, place[:2], false},
		{"with more context", ring, "totp", sealed, append(slices.Clone(place), ""), false},
		{"without context", ring, "totp", sealed, nil, false},
		{"nothing", ring, "totp", nil, place, false},
		{"a header alone", ring, "totp", sealed[:textStart], place, false},
		{"one byte less", ring, "totp", sealed[:len(sealed)-1], place, false},
		{"one byte more", ring, "totp", append(bytes.Clone(sealed), 0), place, false},
		{"first byte lost", ring, "totp", sealed[1:], place, false},
		{"of another version", ring, "totp", altered(0, 2), place, false},
	}
	for i := range sealed {
		tests = append(tests, struct {
			name    string
			ring    *KeyRing
			purpose string
			sealed  []byte
			place   []string
			opens   bool
		}{fmt.Sprint("a bit flipped in byte ", i), ring, "totp", altered(i, 1<<(i%8)), place, false})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.ring.Open(tt.purpose, tt.sealed, tt.place...)
			switch {
			case tt.opens && (err != nil || !bytes.Equal(got, plaintext)):
				t.Errorf("Open = %q, %v", got, err)
			case !tt.opens && (err != ErrSealed || got != nil): //nolint:errorlint // one error, not even wrapped
				t.Errorf("Open = %q, %v, want ErrSealed", got, err)
			}
		})
	}
}

func TestTheKeyIDIsAuthenticated(t *testing.T) {
	ring := ringOf(t, testKey(1), testKey(2))
	sealed, err := ring.Seal("totp", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	// A ring in which both ids have the same key, as nobody could make.
	ring.keys[1].seals.derive = ring.keys[0].seals.derive
	copy(sealed[1:], ring.keys[1].id[:])
	if _, err := ring.Open("totp", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("opened under another id: %v", err)
	}
}

// goldenSealed is "JBSWY3DPEHPK3PXP" sealed under testKey(7) for "totp" in users,
// totp_secret, u-1.
func goldenSealed(tb testing.TB) []byte {
	tb.Helper()
	b, err := hex.DecodeString("01373982d23f9a7671710f0a4bbb610774997bdf0e097e2b5dab7a5205279243d9" +
		"087f69dc7a1c5bc24156d18b5b7d6f9a61918f79a870e007d6b430bdff07538b")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What was sealed by an earlier release must open for ever, and an id and a MAC
// must not change: they are in stores, archives and caches.
func TestFormatsDoNotChange(t *testing.T) {
	ring := ringOf(t, testKey(7))
	const id = "373982d23f9a7671"
	if got := ring.ID(); got != id {
		t.Errorf("id %s, want %s", got, id)
	}
	got, err := ring.Open("totp", goldenSealed(t), "users", "totp_secret", "u-1")
	if err != nil || string(got) != "JBSWY3DPEHPK3PXP" {
		t.Errorf("Open = %q, %v", got, err)
	}
	const mac = "b7e13e947354d9f42a2f2424aab32ce46a496ddb84a25d2f045877f61109d904"
	if got := ring.MAC("cache", []byte("alice"), []byte("1")); hex.EncodeToString(got[:]) != mac {
		t.Errorf("MAC %x, want %s", got, mac)
	}
}

func TestRotation(t *testing.T) {
	before := ringOf(t, testKey(1))
	sealed, err := before.Seal("ca", []byte("key"), "ca", "key", "1")
	if err != nil {
		t.Fatal(err)
	}
	both := ringOf(t, testKey(2), testKey(1))
	opened, err := both.Open("ca", sealed, "ca", "key", "1")
	if err != nil {
		t.Fatal(err)
	}
	anew, err := both.Seal("ca", opened, "ca", "key", "1")
	if err != nil {
		t.Fatal(err)
	}
	after := ringOf(t, testKey(2))
	if got, err := after.Open("ca", anew, "ca", "key", "1"); err != nil || string(got) != "key" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := after.Open("ca", sealed, "ca", "key", "1"); !errors.Is(err, ErrSealed) {
		t.Errorf("the retired key still opens: %v", err)
	}
	if after.Has(before.ID()) || !after.Has(after.ID()) || after.Has("") {
		t.Error("Has is wrong")
	}
	if got, want := both.IDs(), []string{after.ID(), before.ID()}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if before.MAC("cache", []byte("a")) == both.MAC("cache", []byte("a")) {
		t.Error("MAC does not use the first key")
	}
	if both.MAC("cache", []byte("a")) != after.MAC("cache", []byte("a")) {
		t.Error("MAC uses more than the first key")
	}
}

func TestMACTellsPartsAndPurposesApart(t *testing.T) {
	ring := ringOf(t, testKey(1))
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]byte("1:a,")), 0, 4), 0, 4)
		a, b := parts.Draw(rt, "a"), parts.Draw(rt, "b")
		same := slices.EqualFunc(a, b, bytes.Equal)
		if (ring.MAC("cache", a...) == ring.MAC("cache", b...)) != same {
			rt.Errorf("%q and %q", a, b)
		}
		if ring.MAC("cache", a...) == ring.MAC("bus", a...) {
			rt.Error("the same for another purpose")
		}
	})
}

func TestASubkeyIsForOneUse(t *testing.T) {
	k := ringOf(t, testKey(1)).keys[0]
	if bytes.Equal(k.subkey("mqttwarden seal x"), k.subkey("mqttwarden mac x")) {
		t.Error("seal and mac share a key")
	}
	if bytes.Contains(k.secret[:], k.id[:]) {
		t.Error("the id is a part of the key")
	}
}

func TestRingServesManyAtOnce(t *testing.T) {
	ring := ringOf(t, testKey(1))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 { // more purposes than are kept
				purpose := fmt.Sprint("purpose", (i+j)%80)
				sealed, err := ring.Seal(purpose, []byte(purpose))
				if err != nil {
					t.Error(err)
				}
				if got, err := ring.Open(purpose, sealed); err != nil || string(got) != purpose {
					t.Errorf("Open = %q, %v", got, err)
				}
				if ring.MAC(purpose) == ring.MAC("other") {
					t.Error("the same MAC")
				}
			}
		})
	}
	wg.Wait()
	if n := len(ring.keys[0].seals.made); n > 64 {
		t.Errorf("%d purposes kept", n)
	}
}

func TestNewKeyRingRefuses(t *testing.T) {
	var many [][]byte
	for i := range maxKeys + 1 {
		many = append(many, testKey(byte(i)))
	}
	for name, keys := range map[string][][]byte{
		"no key":           nil,
		"a short key":      {testKey(1), testKey(2)[1:]},
		"a long key":       {append(testKey(1), 0)},
		"a key twice":      {testKey(1), testKey(2), testKey(1)},
		"more than it may": many,
	} {
		if _, err := NewKeyRing(keys...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestARingDoesNotPrint(t *testing.T) {
	key := []byte("0123456789abcdefghijklmnopqrstuv")
	ring := ringOf(t, key)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("ring", "ring", ring)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("ring", "ring", ring)
	if n := strings.Count(out.String(), ring.ID()); n != 2 {
		t.Errorf("the id is in %d log lines, want 2:\n%s", n, out.String())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&out, verb+"\n", ring)
		fmt.Fprintf(&out, verb+"\n", struct{ Ring *KeyRing }{ring})
	}
	for name, leak := range map[string]string{
		"text":    string(key[:8]),
		"hex":     hex.EncodeToString(key[:4]),
		"decimal": "48 49 50",
		"base64":  base64.StdEncoding.EncodeToString(key[:6]),
		"Go":      "0x30",
	} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the key is shown as %s:\n%s", name, out.String())
		}
	}
	var none *KeyRing
	if got := fmt.Sprint(none); got != "no master keys" {
		t.Errorf("got %q", got)
	}
}

// FuzzOpen checks that only what was sealed opens.
func FuzzOpen(f *testing.F) {
	ring, valid := ringOf(f, testKey(7), testKey(2)), goldenSealed(f)
	f.Add(valid, "totp_secret", "u-1")
	f.Add(valid, "totp_secret", "u-2")
	f.Add(valid[:Overhead], "totp_secret", "u-1")
	f.Add(append([]byte{sealVersion}, ring.keys[1].id[:]...), "", "")
	f.Add([]byte(nil), "", "")
	f.Fuzz(func(t *testing.T, sealed []byte, column, row string) {
		got, err := ring.Open("totp", sealed, "users", column, row)
		same := bytes.Equal(sealed, valid) && column == "totp_secret" && row == "u-1"
		if (err == nil) != same || (!same && got != nil) {
			t.Errorf("Open = %q, %v", got, err)
		}
	})
}

func benchmarkSealed(b *testing.B) (*KeyRing, []byte, []byte) {
	ring := ringOf(b, testKey(1))
	plaintext := make([]byte, 1024)
	sealed, err := ring.Seal("redis", plaintext, "principal", "alice", "42")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1024)
	b.ReportAllocs()
	return ring, plaintext, sealed
}

func BenchmarkSeal(b *testing.B) {
	ring, plaintext, _ := benchmarkSealed(b)
	for b.Loop() {
		if _, err := ring.Seal("redis", plaintext, "principal", "alice", "42"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	ring, _, sealed := benchmarkSealed(b)
	for b.Loop() {
		if _, err := ring.Open("redis", sealed, "principal", "alice", "42"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	ring := ringOf(b, testKey(1))
	name := []byte("alice")
	b.ReportAllocs()
	for b.Loop() {
		_ = ring.MAC("cache", name)
	}
}
