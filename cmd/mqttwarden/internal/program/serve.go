package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// serveCmd runs the broker and its API.
type serveCmd struct {
	settings.ConfigFile
	config
}

// Run serves until ctx ends, then stops gracefully.
func (c *serveCmd) Run(ctx context.Context, s streams, given *settings.Reader, pace Pace) error {
	if err := given.ReadAll(c); err != nil {
		return err
	}
	log := newLog(s.err, &c.logConfig)
	defer log.writer.close(time.Second)
	tuneCollector(os.Getenv("GOGC"))
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	a, err := start(ctx, c.config, pace, s, log)
	if err != nil {
		return err
	}
	for _, l := range a.addresses() {
		if err == nil {
			_, err = fmt.Fprintf(s.out, "  %s\n", l)
		}
	}
	log.Info("running", "version", version, "listening", strings.Join(a.addresses(), ", "))
	for running := true; running; {
		select {
		case <-reload:
			a.reloads.all(ctx)
			continue
		case <-ctx.Done():
			log.Info("stopping")
		case failed := <-a.failed:
			log.Error("a part failed: stopping", "err", failed)
			err = failed
		}
		running = false
	}
	if stopErr := a.shutdown(c.stopTimeout); err == nil {
		err = stopErr
	}
	return err
}

// gcPercent lets the heap grow to three times what is live before it is
// collected. What is live is small, a few KiB for each connection; collecting it
// as often as Go does by itself costs a publish a tenth of its time.
const gcPercent = 200

// tuneCollector sets how often memory is collected, unless the operator did, by
// the variable GOGC of the Go runtime.
func tuneCollector(chosen string) {
	if chosen == "" {
		debug.SetGCPercent(gcPercent)
	}
}
