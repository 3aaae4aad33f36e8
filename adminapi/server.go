package adminapi

import (
	"net/http"
	"time"
)

// Limits of a connection. The time to read covers the header and the body; a
// handler may then wait for as long as Prefer allows, and the time to write
// covers that, too.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 2 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// Server returns a server for h that gives no connection for ever to anybody.
// Its address, listeners, TLS and log are the caller's to set.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
