package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// Routes that probes ask for again and again: their successes are not worth a line
// in the log.
const (
	healthRoute  = "/healthz"
	readyRoute   = "/readyz"
	metricsRoute = "/metrics"
)

// Part is a part of the program that must work for the whole to: store, broker,
// cache, follower.
type Part struct {
	Name string
	Err  error // why it is not ready; nil: it is. It is logged, not shown.
}

// Readiness is the state of all parts.
type Readiness []Part

// healthJSON says that the process is up.
type healthJSON struct {
	Status string `json:"status"`
}

// healthy serves GET /healthz.
func healthy(w http.ResponseWriter, _ *http.Request) {
	wire.JSON(http.StatusOK, healthJSON{"ok"}).Send(w)
}

// readyJSON says whether the program can do its work, and what can't.
type readyJSON struct {
	Ready bool            `json:"ready"`
	Parts map[string]bool `json:"parts"` // by name, whether it is ready
}

// readyTimeout bounds how long one probe may take.
const readyTimeout = 2 * time.Second

// ready serves GET /readyz: 200, or 503 when a part is not ready.
func ready(ask func(context.Context) Readiness) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		answer := readyJSON{Ready: true, Parts: make(map[string]bool)}
		var causes []error
		for _, part := range ask(ctx) {
			answer.Parts[part.Name] = part.Err == nil
			if part.Err != nil {
				answer.Ready = false
				causes = append(causes, fmt.Errorf("%s is not ready: %w", part.Name, part.Err))
			}
		}
		status := http.StatusOK
		if !answer.Ready {
			status = http.StatusServiceUnavailable
			request.From(r.Context()).Cause = errors.Join(causes...)
		}
		wire.JSON(status, answer).Send(w)
	})
}
