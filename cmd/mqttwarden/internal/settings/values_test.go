package settings

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// refusals sets a value and returns what it refuses, and with what words.
func refusals(v Value, text string) string {
	var told []string
	v.Set(text, func(text, want string) { told = append(told, fmt.Sprintf("%q: must be %s", text, want)) })
	return strings.Join(told, "\n")
}

func TestFormsOfNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "+17": 17, "-17": -17, "007": 7, "1_000_000": 1_000_000, "1__0": 10, "1_": 1,
		"0x1F": 31, "0xff_ff": 65535, "-0x10": -16, "0o17": 15, "0b101": 5, "10000.": 10000, "10000.00": 10000,
		"9223372036854775807": math.MaxInt64,
	} {
		if got, err := parseNumber(text); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", "+", "x", "1x", "1 ", " 1", "1,000", "1.5", "1.x", ".5", "1e3", "_1", "0x", "0x1.0", "0xg", "0x-1", "0o8", "0b2", "0b-1",
		"--1", "+-1", "٣", "1..", "9223372036854775808", "64KiB", "true",
	} {
		if got, err := parseNumber(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

func TestWhatValuesRefuse(t *testing.T) {
	var (
		text                string
		small               uint8
		large               int64
		wait, whole, hours  time.Duration
		on, yes             bool
		networks            []netip.Prefix
		words               []string
		file, address, dirs string
	)
	number := Number(&small, 1, 255)
	const forms = ", decimal, or hexadecimal, octal or binary behind 0x, 0o or 0b; _ may part its digits"
	letters := NonEmptyList(&words, "a letter", "at least one letter", func(text string) (string, bool) { return text, len(text) == 1 })
	redis := func(u *url.URL) bool { return u.Scheme == "redis" }
	for _, tt := range []struct {
		name string
		v    Value
		text string
		want string // empty: it is accepted
	}{
		{"a number at its lower end", number, "1", ""},
		{"a number at its upper end", number, "0xff", ""},
		{"a number below", number, "0", `"0": must be a number from 1 to 255` + forms},
		{"a number above, which would wrap", number, "257", `"257": must be a number from 1 to 255` + forms},
		{"a negative number that would wrap", number, "-255", `"-255": must be a number from 1 to 255` + forms},
		{"the largest number", Number(&large, 0, math.MaxInt64), "9223372036854775807", ""},
		{"no number", Number(&large, 0, 9), "", `"": must be a number from 0 to 9` + forms},
		{"hours", Hours(&hours, 1, 10), "10", ""},
		{"too many hours", Hours(&hours, 1, 10), "11", `"11": must be a number from 1 to 10` + forms},
		{"a duration", Duration(&wait, time.Second, time.Hour), "1.5s", ""},
		{"a duration without a unit", Duration(&wait, time.Second, time.Hour), "90", `"90": must be a duration from 1s to 1h0m0s, as in 90s or 5m`},
		{"a duration that is too long", Duration(&wait, time.Second, time.Hour), "61m", `"61m": must be a duration from 1s to 1h0m0s, as in 90s or 5m`},
		{"seconds", Seconds(&whole, 0, time.Hour), "90s", ""},
		{"no whole seconds", Seconds(&whole, 0, time.Hour), "1.5s", `"1.5s": must be a duration from 0s to 1h0m0s in whole seconds, as in 90s or 5m`},
		{"a switch", Switch(&on), "on", ""},
		{"another word for on", Switch(&on), "true", `"true": must be on or off`},
		{"a truth value", Bool(&yes), "False", ""},
		{"no truth value", Bool(&yes), "off", `"off": must be true or false`},
		{"a choice", Choice(&text, "a", "b", "c"), "b", ""},
		{"no choice", Choice(&text, "a", "b", "c"), "B", `"B": must be a, b or c`},
		{"any text", Text(&text), "", ""},
		{"any secret", Secret(&text), "s3cret", ""},
		{"no file", File(&file), "", ""},
		{"no directory", Directory(&dirs), "", `"": must be a directory`},
		{"an address", Address(&address, "127.0.0.1:1883"), "[::1]:0", ""},
		{"no address", Address(&address, "127.0.0.1:1883"), "nowhere", `"nowhere": must be host:port with a port from 0 to 65535, as in 127.0.0.1:1883, or off`},
		{"a port too many", Address(&address, "127.0.0.1:1883"), ":65536", `":65536": must be host:port with a port from 0 to 65535, as in 127.0.0.1:1883, or off`},
		{"a port by name", Address(&address, "127.0.0.1:1883"), ":http", `":http": must be host:port with a port from 0 to 65535, as in 127.0.0.1:1883, or off`},
		{"an address of HTTP", Address(&address, "127.0.0.1:8080"), "127.0.0.1:99999", `"127.0.0.1:99999": must be host:port with a port from 0 to 65535, as in 127.0.0.1:8080, or off`},
		{"a port alone", Address(&address, "127.0.0.1:8080"), "9090", `"9090": must be host:port with a port from 0 to 65535, as in 127.0.0.1:9090 for this machine alone, :9090 for all, or off`},
		{"a number that is no port", Address(&address, "127.0.0.1:8080"), "99999", `"99999": must be host:port with a port from 0 to 65535, as in 127.0.0.1:8080, or off`},
		{"a host alone", Address(&address, "127.0.0.1:8080"), "10.0.0.1", `"10.0.0.1": must be host:port with a port from 0 to 65535, as in 10.0.0.1:8080, or off`},
		{"IPv6 without brackets", Address(&address, "127.0.0.1:8080"), "::1", `"::1": must be host:port with a port from 0 to 65535, as in [::1]:8080, or off`},
		{"networks", Networks(&networks), " 10.0.0.0/8,, 192.0.2.1,::1", ""},
		{"bad networks", Networks(&networks), "10.0.0.0/8,x,10.0.0.0/33", `"x": must be a network, as in 10.0.0.0/8` + "\n" + `"10.0.0.0/33": must be a network, as in 10.0.0.0/8`},
		{"a list with a bad part", letters, "a,bc,d", `"bc": must be a letter`},
		{"a list without parts", letters, " , ", `" , ": must be at least one letter`},
		{"a URL", URL(&text, "a redis:// URL", redis), "redis://h", ""},
		{"no URL at all", URL(&text, "a redis:// URL", redis), "", `"": must be a redis:// URL`},
		{"no URL where none is needed", OptionalURL(&text, "a redis:// URL", redis), "", ""},
		{"another URL, without its password", OptionalURL(&text, "a redis:// URL", redis), "http://u:s3cret@h", `"http://u:xxxxx@h": must be a redis:// URL`},
		{"what is no URL, not shown", URL(&text, "a redis:// URL", redis), "redis://u:s3%cret@h", `"…": must be a redis:// URL`},
		{"a URL without a host", URL(&text, "a URL", HTTP), "http:///path", `"http:///path": must be a URL`},
	} {
		if got := refusals(tt.v, tt.text); got != tt.want {
			t.Errorf("%s: told %s\nwant %s", tt.name, got, tt.want)
		}
	}
	if small != 255 || hours != 10*time.Hour || wait != 1500*time.Millisecond || whole != 90*time.Second || !on || yes {
		t.Errorf("got %d, %s, %s, %s, %t, %t", small, hours, wait, whole, on, yes)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}; !slices.Equal(networks, want) {
		t.Errorf("got networks %v, want %v", networks, want)
	}
}

func TestARefusedAddressIsNotOff(t *testing.T) {
	at := ""
	v := Address(&at, "127.0.0.1:1883")
	refusals(v, "nowhere")
	if at == "" {
		t.Error("a refused address is off")
	}
	refusals(v, "off")
	if at != "" {
		t.Errorf("off is %q", at)
	}
}
