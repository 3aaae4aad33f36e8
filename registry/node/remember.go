package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"

	"mqttwarden/registry/durable"
)

// rememberedPurpose is what remembered sign-ins are sealed for.
const rememberedPurpose = "remembered sign-ins"

// recall takes over which passwords the last process knew to be right, if it stopped
// in order. The file is used once: it must not lie about, and not be taken twice.
func (n *Node) recall(ctx context.Context) error {
	if n.cfg.Remembered == "" {
		return nil
	}
	sealed, err := os.ReadFile(n.cfg.Remembered)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(err, os.Remove(n.cfg.Remembered)); err != nil {
		return err
	}
	place, err := n.place(ctx)
	if err != nil {
		return err
	}
	remembered, err := n.Keys.Open(rememberedPurpose, sealed, place...)
	if err == nil {
		err = n.verifier.Recall(remembered)
	}
	if err != nil {
		n.cfg.Log.Warn("what was remembered of sign-ins is not used: each costs a hash once", "file", n.cfg.Remembered, "err", err)
	}
	return nil
}

// remember writes down which passwords are known to be right, for the next process.
func (n *Node) remember(ctx context.Context) error {
	if n.cfg.Remembered == "" || n.verifier == nil {
		return nil
	}
	place, err := n.place(ctx)
	if err != nil {
		return err
	}
	sealed, err := n.Keys.Seal(rememberedPurpose, n.verifier.Remembered(), place...)
	if err != nil {
		return err
	}
	return durable.Write(n.cfg.Remembered, sealed, 0o600)
}

// place returns which store it is: what one knows is nothing to another, nor to the
// same after a restore.
func (n *Node) place(ctx context.Context) ([]string, error) {
	id, err := n.Store.Identity(ctx)
	return []string{id.StoreID, strconv.FormatUint(id.Epoch, 10)}, err
}
