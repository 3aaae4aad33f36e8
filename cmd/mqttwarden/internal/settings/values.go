package settings

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a Value that a function reads.
type value[T any] struct {
	to      *T
	accepts string
	forms   string // added to accepts when a text is refused
	show    func(text string) string
	read    func(text string) (T, bool)
}

// Set implements Value.
func (v value[T]) Set(text string, refuse Refuse) {
	got, ok := v.read(text)
	switch {
	case ok:
		*v.to = got
	case v.show != nil:
		refuse(v.show(text), v.accepts+v.forms)
	default:
		refuse(text, v.accepts+v.forms)
	}
}

// Accepts implements Value.
func (v value[T]) Accepts() string { return v.accepts }

// Parsed is a value that a function reads, which reports whether it accepts a
// text.
func Parsed[T any](to *T, accepts string, read func(text string) (T, bool)) Value {
	return value[T]{to: to, accepts: accepts, read: read}
}

// Text is any text.
func Text[T ~string](to *T) Value {
	return Parsed(to, "", func(text string) (T, bool) { return T(text), true })
}

// Secret is a text that is never shown.
func Secret[T ~string](to *T) Value {
	return Parsed(to, "a text, which is never shown", func(text string) (T, bool) { return T(text), true })
}

// Concealed is Parsed of a text that may hold a secret, so that nothing is shown of one
// that is refused.
func Concealed[T any](to *T, accepts string, read func(text string) (T, bool)) Value {
	return value[T]{to: to, accepts: accepts, show: func(string) string { return "…" }, read: read}
}

// File is the path of a file; empty for none.
func File(to *string) Value { return Text(to) }

// Directory is the path of a directory.
func Directory(to *string) Value {
	return Parsed(to, "a directory", func(text string) (string, bool) { return text, text != "" })
}

// Choice is one of some words.
func Choice[T ~string](to *T, words ...T) Value {
	return Parsed(to, or(words), func(text string) (T, bool) { return T(text), slices.Contains(words, T(text)) })
}

// or lists words, as in "a, b or c".
func or[T ~string](words []T) string {
	var b strings.Builder
	for i, word := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// Switch is on or off.
func Switch(to *bool) Value {
	return Parsed(to, "on or off", func(text string) (on, ok bool) { return text == "on", text == "on" || text == "off" })
}

// Bool is true or false, also as strconv.ParseBool knows them otherwise.
func Bool(to *bool) Value {
	return Parsed(to, "true or false", func(text string) (bool, bool) { b, err := strconv.ParseBool(text); return b, err == nil })
}

// Duration is a duration as Go writes it.
func Duration(to *time.Duration, low, high time.Duration) Value {
	return duration(to, low, high, 1, "")
}

// Seconds is a duration in whole seconds, for what is told to clients, who know
// no others.
func Seconds(to *time.Duration, low, high time.Duration) Value {
	return duration(to, low, high, time.Second, " in whole seconds")
}

func duration(to *time.Duration, low, high, step time.Duration, in string) Value {
	return value[time.Duration]{
		to: to, accepts: fmt.Sprintf("a duration from %s to %s%s", low, high, in), forms: ", as in 90s or 5m",
		read: func(text string) (time.Duration, bool) {
			d, err := time.ParseDuration(text)
			return d, err == nil && low <= d && d <= high && d%step == 0
		},
	}
}

// URL is a URL that a function accepts. A refused one is shown without its
// password.
func URL[T ~string](to *T, accepts string, fits func(*url.URL) bool) Value {
	return value[T]{
		to: to, accepts: accepts, show: withoutPassword,
		read: func(text string) (T, bool) {
			u, err := url.Parse(text)
			return T(text), err == nil && fits(u)
		},
	}
}

// OptionalURL is URL, or nothing.
func OptionalURL[T ~string](to *T, accepts string, fits func(*url.URL) bool) Value {
	return URL(to, accepts, func(u *url.URL) bool { return *u == url.URL{} || fits(u) })
}

// HTTP reports whether a URL is one of HTTP or HTTPS with a host.
func HTTP(u *url.URL) bool { return u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") }

// withoutPassword returns a URL fit to be shown, and nothing of what is no URL.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "…"
	}
	return u.Redacted()
}

// address is the Value of Address.
type address struct {
	to      *string
	example string
}

// Address is an address to listen on, host:port; off for none, which leaves the
// place empty. Who gets it wrong is shown an example, which has the usual port.
func Address(to *string, example string) Value { return address{to, example} }

// Accepts implements Value.
func (address) Accepts() string { return "host:port, or off" }

// Set implements Value. What is refused is in its place all the same, for it is
// not off.
func (a address) Set(text string, refuse Refuse) {
	if *a.to = text; text == "off" || text == "" {
		*a.to = ""
		return
	}
	_, port, err := net.SplitHostPort(text)
	if _, badPort := strconv.ParseUint(port, 10, 16); err != nil || badPort != nil {
		refuse(text, "host:port with a port from 0 to 65535, as in "+a.like(text)+", or off")
	}
}

// like returns what may have been meant by a text, or the example.
func (a address) like(text string) string {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return "127.0.0.1:" + text + " for this machine alone, :" + text + " for all"
	}
	if net.ParseIP(text) != nil {
		_, port, _ := net.SplitHostPort(a.example)
		return net.JoinHostPort(text, port)
	}
	return a.example
}
