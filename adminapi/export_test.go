package adminapi

import (
	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/route"
)

// Routes returns every route that New serves.
func Routes(cfg Config) (all []route.Route, err error) {
	err = mount(cfg, route.NewRouter(route.Config{
		Access: &access.Control{},
		Added:  func(r route.Route) { all = append(all, r) },
	}))
	return all, err
}
