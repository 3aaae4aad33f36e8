package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestUnmarshal(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"an object", `{"a": 1, "b": [true, null, "x", {"a": -1.5e3}]}`, nil},
		{"a string", `"x"`, nil},
		{"null", ` null `, nil},
		{"an empty object", `{}`, nil},
		{"an escaped character", `"\u0041\n\\u0000\""`, nil},
		{"a surrogate pair", `"\ud83d\ude00"`, nil},
		{"the same name in two objects", `[{"a": 1}, {"a": 1}]`, nil},
		{"names that differ in case", `{"a": 1, "A": 1}`, nil},
		{"as deep as may be", nested(maxDepth), nil},
		{"deeper", nested(maxDepth + 1), errDeep},
		{"far deeper", nested(100_000), errNotJSON}, // the scanner itself gives up
		{"nothing", ``, errNotJSON},
		{"a name twice", `{"a": 1, "b": 2, "a": 1}`, errTwice},
		{"a name twice, escaped", `{"a": 1, "\u0061": 1}`, errTwice},
		{"a name twice, deep down", `[{"x": {"a": 1, "a": 1}}]`, errTwice},
		{"half an object", `{"a": 1`, errNotJSON},
		{"two values", `1 2`, errNotJSON},
		{"a value and more", `{}x`, errNotJSON},
		{"a comma too many", `[1,]`, errNotJSON},
		{"a number that no float64 holds", `[1e999]`, errNotJSON},
		{"a control character", "\"a\nb\"", errNotJSON},
		{"broken UTF-8", "\"\xff\"", errNotUTF8},
		{"broken UTF-8 outside of strings", "{}\xff", errNotUTF8},
		{"NUL, escaped", `"a\u0000b"`, errNotUTF8},
		{"NUL", "\"a\x00b\"", errNotJSON},
		{"a high surrogate alone", `"\ud83d"`, errNotUTF8},
		{"a high surrogate before text", `"\ud83dabcdef"`, errNotUTF8},
		{"a high surrogate before another escape", `"\ud83d\n"`, errNotUTF8},
		{"two high surrogates", `"\ud83d\ud83d"`, errNotUTF8},
		{"a low surrogate alone", `"\ude00"`, errNotUTF8},
		{"a low surrogate in a name", `{"\ude00": 1}`, errNotUTF8},
		{"a surrogate after an escaped backslash", `"\\ud83d"`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := Unmarshal([]byte(tt.in), &v); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzUnmarshal checks that what is accepted means the same to encoding/json,
// and to whoever reads it after it was written again.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"username": "alice", "identityProvider": "local", "password": "hunter2", "roles": ["a"]}`,
		`{"a": 1, "a": 2}`, `"\ud83d\ude00"`, `"\ud83d"`, `"\u0000"`, `[[[[1e999]]]]`, "\"\xff\"", `{"a":{"b":[{}]}} x`, `"\\\u0041"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got any
		if Unmarshal(data, &got) != nil {
			return
		}
		var want any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("encoding/json reads it otherwise: %s", diff)
		}
		again, err := json.Marshal(got)
		if err != nil || !utf8.Valid(again) || strings.Contains(string(again), `\u0000`) {
			t.Fatalf("%s: %v", again, err)
		}
		var back any
		if err := Unmarshal(again, &back); err != nil {
			t.Fatalf("what was written again is refused: %v", err)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Fatalf("what was written again differs: %s", diff)
		}
	})
}
