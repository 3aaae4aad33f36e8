package broker

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func at(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

func limited(halfOpen, perAddress, signIns int) *admission {
	return newAdmission(Config{MaxHalfOpen: halfOpen, MaxHalfOpenPerAddress: perAddress, MaxConnectionsPerAddress: signIns})
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	a := limited(2, 2, 0)
	var one, two, three counted
	if !a.open(&one) || !a.open(&two) {
		t.Fatal("refused below the limit")
	}
	if a.open(&three) {
		t.Error("one too many")
	}
	a.closed(&three) // was not counted
	if a.open(&three) {
		t.Error("the one that was refused made room")
	}
	a.signedIn(&one)
	a.signedIn(&one) // twice counts once
	if !a.open(&three) {
		t.Error("no room after one has signed in")
	}
	a.closed(&one)
	if got := a.halfOpenNow(); got != 2 {
		t.Errorf("%d half-open, want 2", got)
	}
	if got := a.refused.Load(); got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
}

func TestAddressesThatCountAsOne(t *testing.T) {
	for _, tt := range []struct {
		name, one, other string
		same             bool
	}{
		{"the same IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"neighbours in IPv4", "192.0.2.1", "192.0.2.2", false},
		{"an IPv4 address written as IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"the same 64 bits of IPv6", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"other 64 bits of IPv6", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		a := limited(9, 1, 0)
		var v, w counted
		a.open(&v)
		a.open(&w)
		if !a.setAddress(&v, at(tt.one)) {
			t.Fatalf("%s: the first was refused", tt.name)
		}
		if got := !a.setAddress(&w, at(tt.other)); got != tt.same {
			t.Errorf("%s: refused: %t, want %t", tt.name, got, tt.same)
		}
	}
}

func TestAConnectionWithoutAnIPAddressIsCountedInAllOnly(t *testing.T) {
	a := limited(9, 1, 1)
	for range 2 {
		var v counted
		if !a.open(&v) || !a.setAddress(&v, &net.UnixAddr{}) || !a.countSignIn(&v) {
			t.Error("refused")
		}
	}
}

func TestSeatsOfAnAddress(t *testing.T) {
	a := limited(9, 9, 1)
	come := func() *counted {
		v := new(counted)
		a.open(v)
		a.setAddress(v, at("192.0.2.1"))
		return v
	}
	one, two := come(), come()
	for range 2 { // the second time it has one
		if !a.countSignIn(one) {
			t.Error("the first has no seat")
		}
	}
	a.signedIn(one)
	if a.countSignIn(two) {
		t.Error("one too many")
	}
	a.closed(two)
	if a.countSignIn(come()) {
		t.Error("the one that was refused made room")
	}
	a.closed(one)
	if !a.countSignIn(come()) {
		t.Error("no room after one has left")
	}
	if got := a.refusedSignIn.Load(); got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
}

// TestNothingIsLeftBehind has connections come, go on and leave in any order.
func TestNothingIsLeftBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := limited(5, 3, 2)
		var here []*counted
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if len(here) == 0 || rapid.Bool().Draw(t, "one more") {
				if v := new(counted); a.open(v) {
					here = append(here, v)
				}
				continue
			}
			i := rapid.IntRange(0, len(here)-1).Draw(t, "which")
			switch v := here[i]; rapid.SampledFrom([]string{"locate", "seat", "sign in", "leave"}).Draw(t, "does") {
			case "locate":
				a.setAddress(v, at(rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(t, "from")))
			case "seat":
				a.countSignIn(v)
			case "sign in":
				a.signedIn(v)
			default:
				a.closed(v)
				here = append(here[:i], here[i+1:]...)
			}
			if a.halfOpen < 0 || a.halfOpen > 5 {
				t.Fatalf("%d are half-open", a.halfOpen)
			}
			for from, p := range a.from {
				if p.halfOpen < 0 || p.halfOpen > 3 || p.signIns < 0 || p.signIns > 2 {
					t.Fatalf("%v: %+v", from, p)
				}
			}
		}
		for _, v := range here {
			a.closed(v)
		}
		if a.halfOpen != 0 || len(a.from) != 0 {
			t.Fatalf("left behind: %d half-open, %v", a.halfOpen, a.from)
		}
	})
}

func TestManyComeAtOnce(t *testing.T) {
	a := limited(3, 3, 1)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			var v counted
			if a.open(&v) && a.setAddress(&v, at("192.0.2.1")) && a.countSignIn(&v) {
				a.signedIn(&v)
			}
			a.closed(&v)
		})
	}
	wg.Wait()
	if a.halfOpen != 0 || len(a.from) != 0 {
		t.Errorf("left behind: %d half-open, %v", a.halfOpen, a.from)
	}
}

// silent is a connection whose CONNECT is waited for; it tells when it was closed.
func silent(closed chan<- string, name string) *counted {
	return &counted{close: func(string, int) { closed <- name }}
}

func TestWhoGoesWhenTooManyAreHalfOpen(t *testing.T) {
	a := limited(4, 4, 0)
	closed := make(chan string, 10)
	come := func(name, from string) *counted {
		v := silent(closed, name)
		v.source = netip.PrefixFrom(netip.MustParseAddr(from), 32)
		if !a.open(v) || !a.setAddress(v, at(from)) {
			t.Fatalf("%s was refused", name)
		}
		return v
	}
	goes := func(want string) {
		t.Helper()
		if got := <-closed; got != want {
			t.Errorf("%s goes, want %s", got, want)
		}
	}
	first := come("first", "192.0.2.1")
	a.spoke(first) // its CONNECT is being judged
	second := come("second", "192.0.2.2")
	come("third", "192.0.2.3")
	come("fourth", "192.0.2.4")
	come("fifth", "192.0.2.5")
	goes("second")
	a.closed(second)
	come("sixth", "192.0.2.6")
	goes("third")
	for _, want := range []string{"fourth", "more", "more"} { // then its own
		come("more", "192.0.2.7")
		goes(want)
	}
	if a.halfOpen != 4 {
		t.Errorf("%d are half-open, want 4", a.halfOpen)
	}
	for a.silent.Len() > 0 {
		v, _ := a.silent.Front().Value.(*counted)
		a.spoke(v)
	}
	if v := silent(closed, "newest"); a.open(v) {
		t.Error("one came in though nobody is silent")
	}
}

// However many connections an address opens, it leaves as much free as it has.
func TestTheShareOfAnAddressShrinks(t *testing.T) {
	a := limited(100, 40, 0)
	closed := make(chan string, 1000)
	count := func(from string) int {
		for range 200 {
			v := silent(closed, from)
			a.open(v)
			if !a.setAddress(v, at(from)) {
				t.Fatal("refused")
			}
		}
		return a.from[netip.PrefixFrom(netip.MustParseAddr(from), 32)].halfOpen
	}
	for _, tt := range []struct {
		from string
		want int
	}{{"192.0.2.1", 40}, {"192.0.2.2", 30}, {"192.0.2.3", 15}, {"192.0.2.4", 8}} {
		if got := count(tt.from); got < tt.want-1 || got > tt.want {
			t.Errorf("%s has %d, want %d", tt.from, got, tt.want)
		}
	}
	for from := range a.from { // the others' were not touched for that
		if from.Addr().String() == "192.0.2.1" && a.from[from].halfOpen != 40 {
			t.Errorf("the first has %d left", a.from[from].halfOpen)
		}
	}
}
