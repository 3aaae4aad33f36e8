// Package servers tests the whole program: with servers and clients by others, which make setup installs.
package servers

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
