package program

import (
	"fmt"

	"mqttwarden/registry/secret"
)

// newKeyCmd makes a file with a new master key.
type newKeyCmd struct {
	File string `arg:"" help:"File to make; it must not exist."`
}

// Run makes the file.
func (c newKeyCmd) Run(s streams) error {
	keys, err := secret.CreateKeyFile(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Made %s with master key %s.\n", c.File, keys.ID())
	return err
}
