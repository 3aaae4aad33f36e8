package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"mqttwarden/registry"
)

func settingCases() []testCase {
	return []testCase{
		{"a store knows who it is", identity},
		{"a setting is set once and keeps every byte", settingOnce},
		{"a setting that is not set is NotFound", settingMissing},
		{"of many that set a setting at once, all get the same", settingRace},
		{"a setting is not set when its context has ended", settingCancelled},
	}
}

func identity(t *testing.T, s registry.Store) {
	first := must(s.Identity(t.Context()))(t)
	if len(first.StoreID) != 32 || first.Epoch != 1 {
		t.Errorf("got %+v, want 128 random bits in hexadecimal and the first epoch", first)
	}
	update(t, s, touch("u-1"))
	same(t, "after a change", must(s.Identity(t.Context()))(t), first)
}

func settingOnce(t *testing.T, s registry.Store) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, value := range [][]byte{every, []byte("text"), {0}, {}, nil, bytes.Repeat([]byte{0xff}, 100_000)} {
		key := fmt.Sprint("key-", i)
		for range 2 {
			if got := must(s.SetOnce(t.Context(), key, value))(t); !bytes.Equal(got, value) {
				t.Errorf("%s: SetOnce returned %d bytes that differ", key, len(got))
			}
		}
		if got := must(s.SetOnce(t.Context(), key, []byte("other")))(t); !bytes.Equal(got, value) {
			t.Errorf("%s: a second value took the place of the first", key)
		}
		if got := must(s.Setting(t.Context(), key))(t); !bytes.Equal(got, value) {
			t.Errorf("%s: Setting returned %d bytes that differ", key, len(got))
		}
	}
}

func settingMissing(t *testing.T, s registry.Store) {
	must(s.SetOnce(t.Context(), "key", []byte("value")))(t)
	for _, key := range []string{"Key", "ke", "key ", ""} {
		_, err := s.Setting(t.Context(), key)
		notFound(t, fmt.Sprintf("Setting %q", key), err)
	}
}

func settingRace(t *testing.T, s registry.Store) {
	const racers = 20
	got := make(chan string, racers)
	for i := range racers {
		go func() {
			value, err := s.SetOnce(t.Context(), "key", []byte(fmt.Sprint("value-", i)))
			if err != nil {
				t.Errorf("SetOnce: %v", err)
			}
			got <- string(value)
		}()
	}
	first := <-got
	for range racers - 1 {
		if other := <-got; other != first {
			t.Errorf("one got %q, another %q", first, other)
		}
	}
	if stands := string(must(s.Setting(t.Context(), "key"))(t)); stands != first {
		t.Errorf("%q stands, but %q was returned", stands, first)
	}
}

func settingCancelled(t *testing.T, s registry.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.SetOnce(ctx, "key", []byte("value")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	_, err := s.Setting(t.Context(), "key")
	notFound(t, "Setting", err)
}
