package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthcheckCmd asks a running server whether it is ready, as a container
// platform would.
type healthcheckCmd struct {
	HTTPAddr string `name:"http-addr" default:"127.0.0.1:8080" help:"Where the server's API listens, host:port."`
	Timeout  string `default:"5s" help:"How long to wait for the answer."`
}

// Run returns nil if the server is ready, else what it said.
func (c healthcheckCmd) Run(ctx context.Context, s streams) error {
	var p parser
	timeout := p.duration("timeout", c.Timeout, 100*time.Millisecond, time.Minute)
	address := p.address("http-addr", c.HTTPAddr)
	if err := join(p.problems...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/readyz", nil)
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
