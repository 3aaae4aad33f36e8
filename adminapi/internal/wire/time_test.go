package wire

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"milliseconds stay", `"2026-02-13T19:40:21.421Z"`, `"2026-02-13T19:40:21.421Z"`},
		{"zeros are written", `"2026-02-13T19:40:21Z"`, `"2026-02-13T19:40:21.000Z"`},
		{"more than milliseconds is cut", `"2026-02-13T19:40:21.4219999Z"`, `"2026-02-13T19:40:21.421Z"`},
		{"other zones become UTC", `"2026-02-13T19:40:21+05:30"`, `"2026-02-13T14:10:21.000Z"`},
	} {
		var at Time
		if err := json.Unmarshal([]byte(tt.in), &at); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(at); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if got, err := json.Marshal(TimeOrNull(time.Time{})); err != nil || string(got) != "null" {
		t.Errorf("no time is %s %v", got, err)
	}
}
