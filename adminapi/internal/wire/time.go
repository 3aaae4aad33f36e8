package wire

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Time is a moment as the API writes it: ISO 8601 in UTC with milliseconds.
type Time struct{ time.Time }

// TimeOrNull returns t, and nil, which JSON calls null, for the zero time.
func TimeOrNull(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// UnmarshalJSON implements json.Unmarshaler. It takes any RFC 3339 time.
func (t *Time) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &t.Time) }

// Schema implements huma.SchemaProvider.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-02-13T19:40:21.421Z"}}
}
