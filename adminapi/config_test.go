package adminapi_test

import (
	"net/http"
	"strings"
	"testing"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
)

func TestConfigMustBeWhole(t *testing.T) {
	whole := adminapi.Config{}
	apitest.New(t, func(cfg *adminapi.Config) { whole = *cfg })
	for name, spoil := range map[string]func(*adminapi.Config){
		"no service": func(c *adminapi.Config) { c.Service = nil }, "no registrations": func(c *adminapi.Config) { c.Registrations = nil },
		"no certificates": func(c *adminapi.Config) { c.Certificates = nil }, "no sign-in": func(c *adminapi.Config) { c.SignIn = nil },
		"no follower": func(c *adminapi.Config) { c.Follower = nil }, "no line of changes": func(c *adminapi.Config) { c.Position = nil },
		"no readiness": func(c *adminapi.Config) { c.Ready = nil }, "no clock": func(c *adminapi.Config) { c.Now = nil }, "no log": func(c *adminapi.Config) { c.Log = nil },
	} {
		cfg := whole
		spoil(&cfg)
		if _, err := adminapi.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Two of them in one process do not share what differs between them.
func TestTwoInstances(t *testing.T) {
	one := apitest.New(t, func(cfg *adminapi.Config) { cfg.MaxBody = 100 })
	two := apitest.New(t, func(cfg *adminapi.Config) { cfg.Version = "another" })
	body := `{"token": "` + strings.Repeat("x", 200) + `"}`
	apitest.Message(t, one.Do("POST", "/api/logout", body), http.StatusRequestEntityTooLarge)
	two.Must(http.StatusOK, "POST", "/api/logout", body)
	apitest.Message(t, one.As(two.Admin, "GET", "/api/session", ""), http.StatusUnauthorized)
	before := one.Log.String()
	apitest.Message(t, two.Do("GET", "/api/users/nobody", ""), http.StatusNotFound)
	if one.Log.String() != before {
		t.Error("one logs what the other does")
	}
	if !strings.Contains(two.Send("GET", "/openapi.json", "").Body, `"version":"another"`) {
		t.Error("the document has the version of the other")
	}
}
