package adminapi

import (
	"net/http"
	"time"
)

// Limits of a connection. The time to read covers the header and the body. The time
// to write covers the handler, which may wait for as long as Prefer allows.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 2 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// Server returns a server for h with a deadline for everything that a client may
// make it wait for. Its address, listeners, TLS and log are the caller's to set.
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
