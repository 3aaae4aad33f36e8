package adminapi

import "mqttwarden/adminapi/internal/route"

// Routes returns every route that New serves.
func Routes(cfg Config) ([]route.Route, error) {
	router, err := mount(cfg)
	if err != nil {
		return nil, err
	}
	return router.Routes(), nil
}
