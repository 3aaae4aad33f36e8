package loglimit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mqttwarden/registry/loglimit"
)

func TestWhatComesAgainIsOneLineAMinute(t *testing.T) {
	var lines bytes.Buffer
	out := slog.New(slog.NewTextHandler(&lines, nil))
	now := time.Unix(1000, 0)
	log := loglimit.New(out, func() time.Time { return now }, 1)
	refused := func(user, from string) loglimit.Event {
		addr := netip.MustParseAddr(from)
		network, err := addr.Prefix(min(addr.BitLen(), 64))
		if err != nil {
			t.Fatal(err)
		}
		return loglimit.Event{
			Network: network,
			Level:   slog.LevelInfo, Message: "refused", Cause: "password", User: user, Remote: addr,
			Attrs: []slog.Attr{slog.String("client", "c")},
		}
	}
	pass := func(d time.Duration) {
		now = now.Add(d)
		log.Flush()
	}
	for _, tt := range []struct {
		name  string
		do    func()
		lines int    // in all
		last  string // part of the latest line
	}{
		{"the first is written at once", func() { log.Report(refused("u", "192.0.2.1")) }, 1, "msg=refused user=u remote=192.0.2.1 cause=password client=c"},
		{"those that follow wait", func() {
			for range 1000 {
				log.Report(refused("u", "192.0.2.1"))
			}
			pass(59 * time.Second)
		}, 1, "msg=refused"},
		{"until the minute is over", func() { pass(time.Second) }, 2, "user=u remote=192.0.2.1 cause=password client=c repeated=1000 within=1m0s"},
		{"another user is another line", func() { log.Report(refused("v", "192.0.2.1")) }, 3, "user=v"},
		{"another address is", func() { log.Report(refused("v", "192.0.2.2")) }, 4, "remote=192.0.2.2"},
		{"an address of the same 64 bits is not", func() {
			log.Report(refused("v", "2001:db8::1"))
			log.Report(refused("v", "2001:db8::2"))
		}, 5, "remote=2001:db8::1"},
		{"what has stopped is forgotten", func() {
			pass(time.Minute) // the one above
			pass(time.Minute)
			log.Report(refused("u", "192.0.2.1"))
		}, 7, "user=u remote=192.0.2.1 cause=password client=c\n"},
	} {
		tt.do()
		all := strings.SplitAfter(lines.String(), "\n")
		all = all[:len(all)-1]
		if len(all) != tt.lines {
			t.Fatalf("%s: %d lines, want %d:\n%s", tt.name, len(all), tt.lines, lines.String())
		}
		if got := all[len(all)-1]; !strings.Contains(got, tt.last) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.last)
		}
	}
	if got := log.Counts()["password"]; got != 1006 {
		t.Errorf("%d counted, want 1006", got)
	}
}

// Whoever invents names and addresses does not get a line for each.
func TestManyWhoDoTheSame(t *testing.T) {
	var lines bytes.Buffer
	out := slog.New(slog.NewTextHandler(&lines, nil))
	now := time.Unix(1000, 0)
	log := loglimit.New(out, func() time.Time { return now }, 1)
	for i := range 100_000 {
		log.Report(loglimit.Event{
			Level: slog.LevelInfo, Message: "refused", Cause: "password", User: fmt.Sprint("u", i),
			Remote: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), // #nosec G115 -- bytes of it
		})
	}
	if got := strings.Count(lines.String(), "\n"); got > 300 {
		t.Errorf("%d lines, want at most 300", got)
	}
	now = now.Add(time.Minute)
	log.Flush()
	if got := strings.Count(lines.String(), "also_by_others=true"); got != 1 || strings.Count(lines.String(), "repeated=99") != 1 {
		t.Errorf("%d lines tell of the others, want 1", got)
	}
	now = now.Add(time.Minute)
	log.Flush()
	now = now.Add(time.Minute)
	log.Flush()
	before := strings.Count(lines.String(), "\n")
	log.Report(loglimit.Event{Message: "refused", Cause: "password", User: "another"})
	if strings.Count(lines.String(), "\n") != before+1 {
		t.Error("nothing is written for a newcomer when it is over")
	}
}
