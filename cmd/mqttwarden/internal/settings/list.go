package settings

import (
	"net/netip"
	"strings"
)

// list is a Value of several parts.
type list[T any] struct {
	to            *[]T
	part, atLeast string
	read          func(text string) (T, bool)
}

// List is a list with commas between its parts, which a function reads. Empty
// parts count for nothing. In the file it may be a list of YAML, too.
func List[T any](to *[]T, part string, read func(text string) (T, bool)) Value {
	return list[T]{to: to, part: part, read: read}
}

// NonEmptyList is List with at least one part, which must be such.
func NonEmptyList[T any](to *[]T, part, atLeast string, read func(text string) (T, bool)) Value {
	return list[T]{to: to, part: part, atLeast: atLeast, read: read}
}

// Networks is a list of networks; an address is one of itself.
func Networks(to *[]netip.Prefix) Value {
	return List(to, "a network, as in 10.0.0.0/8", func(text string) (netip.Prefix, bool) {
		network, err := netip.ParsePrefix(text)
		if addr, badAddr := netip.ParseAddr(text); err != nil && badAddr == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		return network, err == nil
	})
}

// Set implements Value. Each part that is not accepted is refused by itself.
func (l list[T]) Set(text string, refuse Refuse) {
	var all []T
	parts := 0
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		parts++
		if got, ok := l.read(part); ok {
			all = append(all, got)
		} else {
			refuse(part, l.part)
		}
	}
	if parts == 0 && l.atLeast != "" {
		refuse(text, l.atLeast)
	}
	*l.to = all
}

// Accepts implements Value.
func (l list[T]) Accepts() string {
	return strings.TrimPrefix(l.part+"; several with commas between them", "; ")
}

// several is a Value of several parts.
type several interface{ Many() }

// Many implements several.
func (list[T]) Many() {}

// isList reports whether a value may be a list in the file.
func isList(v Value) bool {
	_, many := v.(several)
	return many
}
