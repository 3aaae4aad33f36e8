package wire

import (
	"strings"
	"testing"
)

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		values   int
	}{
		{"a number", `1`, 1},
		{"an array", `[1, 2, 3]`, 4},
		{"an object", `{"a": 1, "b": [true, null]}`, 5},
		{"brackets and commas in a text", `"[{,\"[,"`, 1},
		{"an escaped backslash at the end of a text", `["\\", 1]`, 3},
		{"nothing", ``, 1},
		{"a text without an end", `["a, b, c`, 2},
		{"an escape without an end", `"\`, 1},
		{"too many ends", `]]}}[1]`, 2},
	} {
		got, err := Measure([]byte(tt.in), Size{Values: 10, Fields: 10})
		if err != nil || got != tt.values {
			t.Errorf("%s: got %d, %v, want %d", tt.name, got, err, tt.values)
		}
	}
}

func TestMeasureHasLimits(t *testing.T) {
	most := Size{Values: 5, Fields: 2}
	for in, fits := range map[string]bool{
		`[1,2,3,4]`:                     true,
		`[1,2,3,4,5]`:                   false,
		`{"a":1,"b":2}`:                 true,
		`{"a":1,"b":2,"c":3}`:           false,
		`[{"a":1,"b":2}]`:               true,
		`[1,2,3]` + `x`:                 true, // not JSON, but no more than that
		strings.Repeat("[", maxDepth+1): false,
	} {
		if _, err := Measure([]byte(in), most); (err == nil) != fits {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"\\\""}]}`, `]`, `"\`, `[[[`, `,,,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		const most = 1 << 20
		counted, err := Measure([]byte(in), Size{Values: most, Fields: most})
		var v any
		if err != nil || Unmarshal([]byte(in), &v) != nil {
			return
		}
		if n := countOf(v); counted < n || counted > 2*n {
			t.Errorf("%q: counted %d, has %d", in, counted, n)
		}
	})
}

// countOf counts the values in v.
func countOf(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += countOf(item)
		}
	case map[string]any:
		for _, item := range v {
			n += countOf(item)
		}
	}
	return n
}
