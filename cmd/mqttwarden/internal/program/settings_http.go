package program

import (
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// httpConfig bounds what requests over HTTP may take.
type httpConfig struct {
	body, bodies int64
	wait         time.Duration
}

func (c *httpConfig) section() settings.Section {
	return settings.Section{
		Name: "http", Title: "HTTP",
		Text:    "The names of the metrics begin with `mqttwarden_`; `_total` is left out.",
		Columns: []string{"what the client is told", "metric"},
		Settings: []settings.Setting{
			{
				Name: "body", Value: settings.Number(&c.body, 16<<10, 64<<20), Default: "1048576", Unit: "bytes",
				Help:  "Largest body of a request. Most routes take less: what their fields can hold, and 16 KiB where no credential is needed (64 KiB for registrations).",
				Cells: []string{"413", "none"},
			},
			{
				Name: "bodies", Value: settings.Number(&c.bodies, 1<<20, 1<<40), Default: "33554432", Unit: "bytes",
				Help:  "Memory of all bodies that are read and decoded at once, 400 bytes for each value in them; the first 32 KiB of each are free. One address may have a quarter of it, or one request.",
				Cells: []string{"503 with Retry-After", "`http_bodies_refused`"},
			},
			{
				Name: "wait", Value: settings.Duration(&c.wait, 0, time.Minute), Default: "1s",
				Help:  "A change is answered when it is in force, or after this long; a request with `Prefer: wait=N` has its own N.",
				Cells: []string{"X-Change-Enforced: false", "`http_answers_late`"},
			},
		},
	}
}
