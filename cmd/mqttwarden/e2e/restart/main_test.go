// Package restart tests the whole program: how it starts, when it must not, and what
// is there when it starts again.
package restart

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
