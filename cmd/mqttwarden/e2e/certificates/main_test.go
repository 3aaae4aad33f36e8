// Package certificates tests the whole program: certificates, and the listeners that ask for them; needs openssl.
package certificates

import (
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
