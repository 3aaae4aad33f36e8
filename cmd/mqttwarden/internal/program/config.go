package program

import "mqttwarden/cmd/mqttwarden/internal/settings"

// storeConfig is how the store is opened and logged about.
type storeConfig struct {
	dataConfig
	logConfig
	hashConfig
	caConfig
}

// Sections implements settings.Command.
func (c *storeConfig) Sections() []settings.Section {
	return []settings.Section{c.dataConfig.section(), c.postgres.section(), c.logConfig.section(), c.hashConfig.section(), c.caConfig.section()}
}

// storeSettings are the settings of a command that works on the store itself.
type storeSettings struct {
	settings.ConfigFile
	storeConfig
}

// store returns how to open the store.
func (c *storeConfig) store() *storeConfig { return c }

// config is how the program serves.
type config struct {
	storeConfig
	listenerConfig
	tlsConfig
	signInConfig
	cacheConfig
	sessionConfig
	limits        limits
	api           httpConfig
	registrations registrationConfig
}

// Sections implements settings.Command.
func (c *config) Sections() []settings.Section {
	return append(c.storeConfig.Sections(),
		c.listenerConfig.section(), c.tlsConfig.section(), c.signInConfig.section(),
		c.cacheConfig.section(), c.sessionConfig.section(&c.dataConfig), c.limits.section(), c.api.section(), c.registrations.section(),
	)
}
