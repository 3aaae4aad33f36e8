package program

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// healthcheckCmd asks a running server whether it is ready, as a container
// platform would.
type healthcheckCmd struct {
	http    string
	timeout time.Duration
}

// Sections implements settings.Command.
func (c *healthcheckCmd) Sections() []settings.Section {
	return []settings.Section{{Title: "Settings", Settings: []settings.Setting{
		{Name: "http-addr", Value: settings.Address(&c.http, "127.0.0.1:8080"), Default: "127.0.0.1:8080", Help: "Where the server's API listens."},
		{Name: "timeout", Value: settings.Duration(&c.timeout, 100*time.Millisecond, time.Minute), Default: "5s", Help: "How long to wait for the answer."},
	}}}
}

// Run returns nil if the server is ready, else what it said.
func (c *healthcheckCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	if err := given.Read(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(c.http)+"/readyz", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintln(s.out, "ready")
	return err
}

// reachable returns the address to dial for one that is listened on: a listener
// on every address is reached on loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
