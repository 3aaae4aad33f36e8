// Package live tests the whole program: what changes under sessions that are connected, and over HTTP.
package live

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
