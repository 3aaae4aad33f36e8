// Package policy tests the whole program: the policy, every way round it, and what
// changes under sessions that are connected.
package policy

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
