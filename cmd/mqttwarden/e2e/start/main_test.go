// Package start tests the whole program: how it starts, and when it must not.
package start

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
