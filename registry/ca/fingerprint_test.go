package ca

import (
	"regexp"
	"strings"
	"testing"
)

func TestNormalizeFingerprint(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 4)
	colons := strings.TrimSuffix(regexp.MustCompile("..").ReplaceAllString(strings.ToUpper(want), "$0:"), ":")
	for _, tt := range []struct {
		name string
		in   string
		ok   bool
	}{
		{"as stored", want, true},
		{"upper case", strings.ToUpper(want), true},
		{"colons", colons, true},
		{"blanks", strings.ReplaceAll(colons, ":", " "), true},
		{"a line break at the end", want + "\r\n", true},
		{"empty", "", false},
		{"31 bytes", want[2:], false},
		{"33 bytes", want + "00", false},
		{"half a byte more", want + "0", false},
		{"SHA-1", want[:40], false},
		{"not hexadecimal", "g" + want[1:], false},
		{"dashes", strings.ReplaceAll(colons, ":", "-"), false},
		{"a look-alike digit", "\uff10" + want[1:], false},
		{"a letter that becomes ASCII in lower case", "\u212a" + want[1:], false},
		{"long", want + strings.Repeat(" ", 256), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := NormalizeFingerprint(tt.in)
			switch {
			case tt.ok && (err != nil || got != want):
				t.Errorf("got %q, %v; want %q", got, err, want)
			case !tt.ok && (err == nil || got != ""):
				t.Errorf("got %q, %v; want an error", got, err)
			case !tt.ok && len(tt.in) > 3 && strings.Contains(err.Error(), tt.in):
				t.Errorf("the error repeats the input: %v", err)
			}
		})
	}
}

func FuzzNormalizeFingerprint(f *testing.F) {
	f.Add(strings.Repeat("AB:", 31) + "CD")
	f.Add(strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := NormalizeFingerprint(s)
		if err != nil {
			return
		}
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		if again, err := NormalizeFingerprint(got); err != nil || again != got {
			t.Errorf("%q became %q, %v", got, again, err)
		}
	})
}
