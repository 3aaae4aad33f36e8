package authhook

import (
	"strings"
	"unicode"
)

// printable returns what a client sent in a form that is fit for a log: at most
// 128 bytes of it, and only characters that show.
func printable(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
