package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is a secret in the configuration: a password, a token, a URL with a password
// in it. It is decoded like a string, and prints, logs and encodes as "[redacted]", or
// as nothing if it is empty. Only Reveal returns it.
//
// It is not masked in an unexported field of a struct that is printed as a whole, nor
// as the key of a map in JSON: fmt and encoding/json do not call its methods there.
type Text string

// Reveal returns the secret.
func (t Text) Reveal() string { return string(t) }

// String returns the mask.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return "[redacted]"
}

// GoString implements fmt.GoStringer.
func (t Text) GoString() string { return fmt.Sprintf("secret.Text(%q)", t.String()) }

// Format implements fmt.Formatter: the mask, whatever the verb. Without it, fmt
// shows a string whole when the verb is one for numbers.
func (t Text) Format(f fmt.State, verb rune) {
	s := t.String()
	if verb == 'v' && f.Flag('#') {
		s = t.GoString()
	}
	_, _ = io.WriteString(f, s)
}

// MarshalText implements encoding.TextMarshaler, and with it JSON and YAML.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
