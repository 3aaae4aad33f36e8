// Package doors tests the whole program: the policy, and every way round it.
package doors

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
