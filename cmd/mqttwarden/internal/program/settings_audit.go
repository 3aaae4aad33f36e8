package program

import (
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// auditConfig is how long it is known who changed what.
type auditConfig struct {
	auditKeep time.Duration // 0: for ever
}

func (c *auditConfig) section() settings.Section {
	return settings.Section{Name: "audit", Title: "Audit log", Settings: []settings.Setting{{
		Name: "keep", Value: settings.Duration(&c.auditKeep, 0, 100*365*24*time.Hour), Default: "17520h",
		Help: "How long the store keeps who changed what; 0: for ever. Otherwise a day at least.",
	}}, Check: func(p *settings.Problems) {
		if c.auditKeep > 0 && c.auditKeep < 24*time.Hour {
			p.Add("audit-keep", "must be 0, for ever, or at least 24h")
		}
	}}
}
