// Package restart tests the whole program: what survives a restart, and what must not.
package restart

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
