package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry"
	"mqttwarden/registry/node"
)

// setPasswordCmd sets a password in the store itself. A server that runs on the
// store hears of it within seconds.
type setPasswordCmd struct {
	storeSettings

	Name string `arg:"" help:"User name."`
}

// Run reads the password from standard input and sets it.
func (c *setPasswordCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
	if _, err := fmt.Fprintf(s.err, "New password of %s: ", c.Name); err != nil {
		return err
	}
	line, err := bufio.NewReader(io.LimitReader(s.in, registry.MaxPassword+2)).ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return errors.New("no password on standard input")
	}
	return onStore(ctx, c, given, func(n *node.Node) error {
		password := strings.TrimRight(line, "\r\n")
		if _, err := n.Service.SetPassword(ctx, registry.System("cli"), c.Name, password); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "The password of %s is set.\n", c.Name)
		return err
	})
}
