package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/framing"
)

// webListener is a bound address of HTTP.
type webListener struct {
	net.Listener
	scheme string
}

// bindWeb listens where HTTP is to be served.
func (a *app) bindWeb(ctx context.Context, c config) error {
	var lc net.ListenConfig
	for _, l := range []struct{ scheme, address string }{{"http", c.http}, {"https", c.https}, {"metrics", c.metrics}} {
		if l.address == "" {
			continue
		}
		ln, err := lc.Listen(ctx, "tcp", l.address)
		if err != nil {
			return fmt.Errorf("%s-addr: %w", l.scheme, err)
		}
		a.onStop(l.scheme+" listener", func(context.Context) error { return closeOnce(ln) })
		a.web = append(a.web, webListener{ln, l.scheme})
	}
	return nil
}

// closeOnce closes a listener, unless whoever served there did.
func closeOnce(ln net.Listener) error {
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// serveHTTP serves h on the listener until the program stops.
func (a *app) serveHTTP(l webListener, h http.Handler, secure *tls.Config) {
	a.listening = append(a.listening, endpoint{l.scheme, l.Addr()})
	guard := framing.Guard{Timeout: adminapi.Server(h).ReadHeaderTimeout, Refused: &a.httpConns.ambiguous, Failed: newHandshakes(a.log).failed}
	if secure == nil {
		a.serveGuarded(webListener{guard.Plain(l), l.scheme}, h)
		return
	}
	guard.TLS = secure.Clone()
	guard.TLS.NextProtos = []string{"h2", "http/1.1"}
	first, second := guard.Secure(l)
	a.serveGuarded(webListener{second, l.scheme + ", HTTP/2"}, h)
	a.serveGuarded(webListener{first, l.scheme}, h)
}

// serveGuarded serves h on a listener that is guarded.
func (a *app) serveGuarded(l webListener, h http.Handler) {
	srv := adminapi.Server(h)
	srv.ConnState = a.httpConns.state
	srv.ErrorLog = newServerErrors(a.log, l.scheme)
	go func() {
		if err := srv.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("%s: %w", l.scheme, err)
		}
	}()
	a.onStop(l.scheme, func(ctx context.Context) error {
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(err, srv.Close())
		}
		return nil
	})
}

// ready says of each part that is needed whether it is ready. Redis is not among
// them: without it everything is right and a little slower.
func (a *app) ready(ctx context.Context) adminapi.Readiness {
	var unheard, closed error
	if !a.register.Follower.Fresh() {
		unheard = errors.New("changes have not been heard for too long")
	}
	if !a.serving.Load() {
		closed = errors.New("the broker takes no connections")
	}
	return adminapi.Readiness{
		{Name: "store", Err: a.ping.ask(ctx)},
		{Name: "changes", Err: unheard},
		{Name: "broker", Err: closed},
	}
}
