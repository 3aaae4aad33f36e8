package program

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/authhook"
	"mqttwarden/broker"
	"mqttwarden/registry"
	"mqttwarden/registry/node"
)

// app is the running program. Its parts start in an order and stop in reverse.
type app struct {
	log         *slog.Logger
	logDropped  func() uint64 // lines
	out         io.Writer     // where the first password is printed
	keyMade     bool          // the master key is of this start
	register    *node.Node
	pace        Pace
	certificate *serverCertificate // of the TLS listeners, nil without any
	reloads     reloads            // of the files of TLS
	validity    validity           // of all certificates
	web         []webListener
	httpConns   *httpConns
	broker      *broker.Broker
	hook        *authhook.Hook
	bodies      *adminapi.Bodies
	late        atomic.Uint64 // changes that were answered before they were in force
	auditKeep   time.Duration // how long audit entries are kept, 0: for ever
	auditGone   atomic.Uint64 // audit entries that were older
	api         http.Handler
	figures     http.Handler // the metrics
	listening   []endpoint

	ping    *seldom     // whether the store can be read and written
	serving atomic.Bool // the broker takes connections
	failed  chan error  // a part that stopped by itself
	stops   []stop
}

// endpoint is an address that the program listens on.
type endpoint struct {
	scheme string
	addr   net.Addr
}

type stop struct {
	name string
	do   func(context.Context) error
}

// start starts every part. If one fails, those already started are stopped.
//
// Addresses are bound before anything is made, and what a first start makes for good
// comes before anybody is answered and after all that can fail: a start that fails
// leaves the first start to the next one.
func start(ctx context.Context, c config, pace Pace, s streams, log logTo) (_ *app, err error) {
	a := &app{log: log.Logger, logDropped: log.writer.droppedLines, out: s.out, pace: pace, failed: make(chan error, 8)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.shutdown(c.stopTimeout))
		}
	}()
	a.reloads.log, a.reloads.settle, a.reloads.now = a.log, pace.Settle, time.Now
	a.validity.log, a.validity.now = a.log, time.Now
	c.limits.divide(descriptorLimit(), a.log)
	a.httpConns = newHTTPConns(c.limits.httpConnections, c.proxies)
	for _, step := range []func(context.Context, config) error{
		a.lockData, a.bindWeb, a.bindBroker, a.startRegister, a.startTLS, a.startBroker, a.makeAPI, a.bootstrap, a.serveWeb,
	} {
		if err := step(ctx, c); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// shutdown stops the parts, last started first, all within timeout. It goes on
// past a part that fails and returns every failure.
func (a *app) shutdown(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for len(a.stops) > 0 {
		s := a.stops[len(a.stops)-1]
		a.stops = a.stops[:len(a.stops)-1]
		if err := s.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

func (a *app) onStop(name string, do func(context.Context) error) {
	a.stops = append(a.stops, stop{name, do})
}

// background runs f until its part is stopped.
func (a *app) background(name string, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	a.onStop(name, func(context.Context) error {
		cancel()
		wg.Wait()
		return nil
	})
}

func (a *app) lockData(_ context.Context, c config) error {
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return err
	}
	lock, err := lockData(c.dataDir)
	if err != nil {
		return err
	}
	a.onStop("lock", func(context.Context) error { return lock.release() })
	return nil
}

func (a *app) startRegister(ctx context.Context, c config) error {
	anchorFile := watch(c.tlsClientCA) // looked at before it is read
	anchors, err := readClientCAs(c.tlsClientCA, c.tlsClientCAMax)
	if err != nil {
		return fmt.Errorf("tls-client-ca: %w", err)
	}
	keys, made, err := keysToServe(c.storeConfig, a.log)
	if err != nil {
		return err
	}
	cfg, err := nodeConfig(c.storeConfig, keys, a.log)
	if err != nil {
		return err
	}
	if cfg.Remembered, err = c.remembered(); err != nil {
		return err
	}
	if cfg.Redis, err = c.redis.connection(); err != nil {
		return err
	}
	cfg.MaxStale, cfg.Poll, cfg.CachedUsers = c.maxStale, a.pace.Changes, cmp.Or(c.users, -1)
	cfg.Tokens.MaxLife, cfg.AnchorFiles = c.tokenMax, anchors
	cfg.Tokens.PerUser = c.tokensPerUser
	cfg.Tokens.Rates = registry.LoginRates{User: float64(c.loginRate), Address: float64(c.addressRate)}
	c.registrations.Overlap = cfg.Enrolment.Overlap
	cfg.Enrolment = c.registrations.Settings
	if a.register, err = openNode(ctx, cfg, c.storeConfig); err != nil {
		return err
	}
	a.onStop("register", func(context.Context) error { return a.register.Close() })
	a.keyMade, a.auditKeep = made, c.auditKeep
	a.ping = &seldom{question: a.register.Store.Ping, every: time.Second, within: 5 * time.Second, now: time.Now}
	a.onStop("readiness", a.ping.stop)
	if c.tlsClientCA != "" {
		a.reloads.add("tls-client-ca", anchorFile, func(ctx context.Context) error { return a.reloadClientCAs(ctx, c.tlsClientCA, c.tlsClientCAMax) })
	}
	return nil
}

// bindBroker makes the broker, which listens, and takes no connection yet.
func (a *app) bindBroker(_ context.Context, c config) error {
	a.certificate = newServerCertificate(c, a.log)
	listeners := a.mqttListeners(c)
	var err error
	a.broker, err = broker.New(broker.Config{
		Listeners:                listeners,
		TrustedProxies:           c.proxies,
		ConnectTimeout:           c.limits.connectTimeout,
		WriteTimeout:             c.limits.writeTimeout,
		MaxConnections:           c.limits.connections,
		MaxHalfOpen:              c.limits.halfOpen,
		MaxHalfOpenPerAddress:    c.limits.halfOpenPerAddress,
		MaxConnectionsPerAddress: c.limits.connectionsPerAddress,
		MaxPacketSize:            c.limits.packet,
		MaxConnectPacket:         c.limits.connectPacket,
		MaxRetained:              c.limits.retained,
		MaxRetainedBytes:         c.limits.retainedBytes,
		MaxUserRetained:          c.limits.retainedPerUser,
		MaxUserRetainedBytes:     c.limits.retainedBytesPerUser,
		MaxSessionBytes:          c.limits.sessionBytes,
		MaxWaitingBytes:          c.limits.waitingBytes,
		PublishRate:              c.limits.publishRate,
		PublishBurst:             c.limits.publishBurst,
		RequestRate:              c.limits.requestRate,
		RequestBurst:             c.limits.requestBurst,
		MaxQueued:                c.limits.pending,
		MaxInflight:              c.limits.inflight,
		MaxSessionExpiry:         c.limits.sessionExpiry,
		ReceiveMaximum:           c.limits.receiveMaximum,
		MaxTopicLength:           c.limits.topicLength,
		MaxTopicLevels:           c.limits.topicLevels,
		MaxSubscriptions:         c.limits.subscriptions,
		MaxPatterns:              c.limits.patterns,
		MaxWork:                  c.limits.work,
		TopicAliases:             c.limits.topicAliases,
		MaxClientID:              c.limits.clientID,
		MaxUserConnections:       c.limits.connectionsPerUser,
		MaxStoredSessions:        c.limits.storedSessions,
		MaxKeepAlive:             c.limits.keepAlive,
		Sessions: broker.Sessions{
			File: c.sessionsFile, Flush: c.sessionsFlush, MaxPending: c.sessionsPending, History: history{a},
		},
	}, a.log)
	if err != nil {
		return err
	}
	a.onStop("listeners", a.broker.Shutdown)
	for _, l := range listeners {
		a.listening = append(a.listening, endpoint{l.Name, a.broker.Addr(l.Name)})
	}
	return nil
}

// startBroker lets clients in, once changes reach those that are.
func (a *app) startBroker(ctx context.Context, c config) error {
	a.onStop("broker", a.broker.Shutdown) // before the register closes
	a.hook = authhook.New(authhook.Config{
		SignIn: a.register.SignIn, TokenAlive: a.register.Service.TokenAlive,
		Certificate: func(chain []*x509.Certificate) *registry.Certificate {
			return a.register.PKI.Trust().Certificate(chain, c.tlsClientName)
		},
		Sessions:    a.broker,
		ReservedFor: a.register.Reserved.Owner,
		Name:        a.register.Principals.Name,
		Now:         time.Now,
	})
	if err := a.register.Start(ctx, a.hook); err != nil {
		return err
	}
	a.background("follower", a.register.Follower.Run)
	a.background("janitor", a.tidy)
	a.background("near cache", a.register.Warm)
	if err := broker.Start(a.broker, a.hook); err != nil {
		return err
	}
	if c.sessionsFile != "" {
		if _, err := a.register.Store.SetOnce(ctx, settingSessionsKeyed, []byte{1}); err != nil {
			return err
		}
	}
	a.serving.Store(true)
	a.onStop("serving", func(context.Context) error { a.serving.Store(false); return nil })
	return nil
}

func (a *app) makeAPI(_ context.Context, c config) (err error) {
	a.bodies = adminapi.NewBodies(c.api.bodies)
	a.figures = a.metrics()
	a.api, err = adminapi.New(adminapi.Config{
		Service: a.register.Service, Registrations: a.register.Enrolment, Certificates: a.register.PKI,
		SignIn: a.register.SignIn, Follower: a.register.Follower, Position: a.register.Store.Position, Ready: a.ready, Metrics: a.figures,
		Retained: retained{a.broker},
		Clients:  clients{a.broker},
		Certificate: func(s *tls.ConnectionState) *registry.Certificate {
			return a.register.PKI.Trust().Certificate(s.PeerCertificates, c.tlsClientName)
		},
		TrustedProxies: c.proxies, AllowQueryToken: c.queryToken, MaxBody: c.api.body, Bodies: a.bodies,
		Wait: c.api.wait, Late: func() { a.late.Add(1) },
		Now: time.Now, Log: a.log, Version: version,
	})
	return err
}

// serveWeb has the HTTP listeners, which are bound, answer.
func (a *app) serveWeb(_ context.Context, c config) error {
	for _, l := range a.web {
		switch l.scheme {
		case "http":
			a.serveHTTP(l, a.api, nil)
		case "https":
			a.serveHTTP(l, a.api, a.httpsConfig(c))
		case "metrics":
			mux := http.NewServeMux()
			mux.Handle("GET /metrics", a.figures)
			a.serveHTTP(l, mux, nil)
		}
	}
	return nil
}

func (a *app) addresses() []string {
	out := make([]string, 0, len(a.listening))
	for _, e := range a.listening {
		out = append(out, e.scheme+"://"+e.addr.String())
	}
	return out
}
