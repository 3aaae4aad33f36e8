package rediscache

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mqttwarden/registry"
)

func anyStamp() *rapid.Generator[stamp] {
	// Small numbers meet often, large ones try every digit.
	n := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64(), rapid.Just(uint64(math.MaxUint64)))
	return rapid.Custom(func(t *rapid.T) stamp {
		return stamp{
			number: n.Draw(t, "number"),
			line:   registry.Position{Number: n.Draw(t, "line"), Mark: n.Draw(t, "mark")},
			asOf:   time.Unix(0, rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "as of")).UTC(),
		}
	})
}

func TestHeaderSurvivesAndSortsAsStampsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyStamp().Draw(t, "a"), anyStamp().Draw(t, "b")
		got, ok := parseHeader([]byte(a.header() + "rest"))
		if !ok || got.compare(a) != 0 {
			t.Fatalf("%+v became %+v, %v", a, got, ok)
		}
		if len(a.header()) != headerLen {
			t.Fatalf("header of %d bytes, want %d", len(a.header()), headerLen)
		}
		if h, s := cmp.Compare(a.header(), b.header()), a.compare(b); h != s {
			t.Fatalf("as strings %d, as stamps %d", h, s)
		}
	})
}

func TestClockBefore1970StillMakesAHeader(t *testing.T) {
	if _, ok := parseHeader([]byte(stamp{asOf: time.Unix(-1, 0)}.header())); !ok {
		t.Error("it does not parse")
	}
}

func TestScriptKnowsTheHeader(t *testing.T) {
	for _, part := range []string{
		"key, 0, " + strconv.Itoa(headerLen-1) + ")",
		"#old == " + strconv.Itoa(headerLen) + " ",
		"new, 1, " + strconv.Itoa(headerLen) + ")",
		"'^" + format + "%d+$'",
	} {
		if !strings.Contains(replaceScript, part) {
			t.Errorf("the script lacks %q", part)
		}
	}
}

func TestScriptFollowsThePointerOfAReference(t *testing.T) {
	for _, part := range []string{
		"(reference, " + strconv.Itoa(headerLen+1) + ", " + strconv.Itoa(headerLen+macLen) + ")",
		"#pointer == " + strconv.Itoa(macLen) + " ",
	} {
		if !strings.Contains(followScript, part) {
			t.Errorf("the script has no %q", part)
		}
	}
}
