package program

import (
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/secret"
)

// signInConfig is who signs in first, and with what tokens.
type signInConfig struct {
	adminPassword     secret.Text
	adminPasswordFile string
	tokenMax          time.Duration
	tokensPerUser     int
	loginRate         int
	addressRate       int
	queryToken        bool
}

func (c *signInConfig) section() settings.Section {
	return settings.Section{Title: "Sign-in", Settings: []settings.Setting{
		{
			Name: "admin-password", Value: settings.Secret(&c.adminPassword), Unset: "a random one, printed once",
			Help: "Password of the user admin, used on the first start only.",
		},
		{Name: "admin-password-file", Value: settings.File(&c.adminPasswordFile), Placeholder: "FILE", Help: "File that holds the admin password."},
		{Name: "token-max-hours", Value: settings.Hours(&c.tokenMax, 1, 876_000), Default: "876000", Unit: "hours", Help: "Longest life of a token that a login may ask for."},
		{Name: "tokens-per-user", Value: settings.Number(&c.tokensPerUser, 1, 10_000), Default: "100", Help: "Tokens of one user that have not expired; a login above it is 409."},
		{
			Name: "login-rate", Value: settings.Number(&c.loginRate, 1, 100_000), Default: "5",
			Help: "Log-ins of one user in a second over HTTP, and ten times as many at once; above it 429.",
		},
		{
			Name: "login-rate-per-address", Value: settings.Number(&c.addressRate, 1, 1_000_000), Default: "50",
			Help: "Log-ins and log-outs from one address (IPv6: /64) in a second over HTTP, and ten times as many at once; above it 429.",
		},
		{Name: "query-token", Value: settings.Bool(&c.queryToken), Default: "true", Help: "Accept ?apiToken= besides the Authorization header."},
	}, Check: func(p *settings.Problems) {
		if c.adminPassword != "" && c.adminPasswordFile != "" {
			p.Add("admin-password, admin-password-file", "must not both be given")
		}
	}}
}
