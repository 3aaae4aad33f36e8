package v1_test

import (
	"context"
	"log/slog"
	"time"

	"mqttwarden/adminapi/internal/apitest"
	"mqttwarden/registry"
	"mqttwarden/registry/sqlstore"
)

// start starts the whole HTTP side over a store of its own.
var start = apitest.Over(func(ctx context.Context, path string, log *slog.Logger) (registry.Store, error) {
	return sqlstore.Open(ctx, sqlstore.Config{Path: path, Now: time.Now, Log: log})
})
