package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Number is a whole number of whatever size its place has.
func Number[T uint8 | uint16 | int32 | uint32 | int64 | int](to *T, low, high T) Value {
	return value[T]{
		to: to, accepts: fmt.Sprintf("a number from %d to %d", low, high), forms: numberForms,
		read: func(text string) (T, bool) {
			n, err := parseNumber(text)
			return T(n), err == nil && int64(low) <= n && n <= int64(high) // #nosec G115 -- then it is of that size
		},
	}
}

// Hours is a whole number of hours.
func Hours(to *time.Duration, low, high int64) Value {
	return value[time.Duration]{
		to: to, accepts: fmt.Sprintf("a number from %d to %d", low, high), forms: numberForms,
		read: func(text string) (time.Duration, bool) {
			n, err := parseNumber(text)
			return time.Duration(n) * time.Hour, err == nil && low <= n && n <= high
		},
	}
}

const numberForms = ", decimal, or hexadecimal, octal or binary behind 0x, 0o or 0b; _ may part its digits"

// parseNumber reads a number in one of the forms that YAML has for it. Zeros in
// front of a decimal number, and behind its point, count for nothing.
func parseNumber(text string) (int64, error) {
	digits := strings.TrimLeft(text, "+-")
	sign := text[:len(text)-len(digits)]
	if digits == "" || digits[0] < '0' || '9' < digits[0] {
		return 0, strconv.ErrSyntax
	}
	base := 10
	digits = strings.ReplaceAll(digits, "_", "")
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if rest, ok := strings.CutPrefix(digits, prefix); ok && !strings.ContainsAny(rest, "+-") {
			digits, base = rest, b
		}
	}
	if whole, behind, ok := strings.Cut(digits, "."); ok && base == 10 && strings.Trim(behind, "0") == "" {
		digits = whole
	}
	return strconv.ParseInt(sign+digits, base, 64)
}
