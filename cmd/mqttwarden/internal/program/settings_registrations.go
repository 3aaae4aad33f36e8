package program

import (
	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/enrol"
)

// registrationConfig is how devices register themselves.
type registrationConfig struct{ enrol.Settings }

func (c *registrationConfig) section() settings.Section {
	return settings.Section{Name: "registrations", Title: "Registrations", Settings: []settings.Setting{
		{
			Name: "max", Value: settings.Number(&c.Max, 1, 100_000), Default: "1000",
			Help: "Registrations that wait to be decided at once; above it they are answered 503. The last tenth is for addresses of which none waits.",
		},
		{
			Name: "max-per-address", Value: settings.Number(&c.MaxPerAddress, 1, 100_000), Default: "250",
			Help: "The same, of one address (IPv6: of one /64).",
		},
		{
			Name: "pairing-code", Value: settings.Bool(&c.PairingCode), Default: "false",
			Help: "Confirming a registration needs the pairing code that the device shows: who takes the name first is not confirmed by mistake.",
		},
	}}
}
