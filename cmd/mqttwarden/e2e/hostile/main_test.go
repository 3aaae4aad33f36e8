// Package hostile tests the whole program: clients that want too much, or to do harm.
package hostile

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
