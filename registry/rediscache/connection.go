package rediscache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"mqttwarden/registry/secret"
)

// Connection says where Redis is, and with what one signs in there.
type Connection struct {
	URL              string      // see ValidateURL; empty: there is none
	Password         secret.Text // unless it stands in the URL
	SentinelPassword secret.Text // of the sentinels, if they want one
	TLS              *tls.Config // for rediss://…; optional: the roots of the system
}

// target returns what c says, or why that can't be meant.
func (c Connection) target() (target, error) {
	t, err := parseURL(c.URL)
	switch {
	case err != nil:
		return target{}, err
	case t.password != "" && c.Password != "":
		return target{}, errors.New("the password of Redis must not be given twice, in its URL and beside it")
	case c.SentinelPassword != "" && t.kind != sentinel:
		return target{}, errors.New("a password of sentinels is of use with a redis+sentinel:// URL only")
	case c.Password != "":
		t.password = c.Password.Reveal()
	}
	if t.password == "" && t.user != "" {
		return target{}, errors.New("a user of Redis needs a password") // the client would not sign in at all
	}
	return t, nil
}

// connect returns a client of Redis that gives up soon: a look-up has the store
// to turn to. Its dials end with life.
func (c Connection) connect(life context.Context, cfg Config) (redis.UniversalClient, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	opt := t.options(cfg, dialer(life, t.tls, c.TLS))
	switch t.kind {
	case sentinel:
		return redis.NewFailoverClient(t.failover(opt, c.SentinelPassword)), nil
	case cluster:
		return redis.NewClusterClient(t.cluster(opt)), nil
	default:
		return redis.NewClient(&opt), nil
	}
}

// dial is how a client makes a connection.
type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// options are those of a client of one server, on which the others are modelled.
func (t target) options(cfg Config, d dial) redis.Options {
	return redis.Options{
		Addr:     t.addrs[0],
		Dialer:   d,
		Username: t.user,
		Password: t.password,
		DB:       t.db,

		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},

		ContextTimeoutEnabled: true, // so that one limit holds for all steps of a look-up
		DialTimeout:           cfg.Timeout,
		ReadTimeout:           cfg.Timeout,
		WriteTimeout:          cfg.Timeout,
		PoolTimeout:           cfg.Timeout,
		MaxRetries:            -1,
		DialerRetries:         1,
		PipelinePoolSize:      -1, // nothing is pipelined
	}
}

// failover returns the options of a client that asks sentinels for the master.
func (t target) failover(o redis.Options, sentinelPassword secret.Text) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: t.master, SentinelAddrs: t.addrs, SentinelPassword: sentinelPassword.Reveal(),
		Dialer: o.Dialer, Username: o.Username, Password: o.Password, DB: o.DB,
		Protocol: o.Protocol, DisableIdentity: o.DisableIdentity,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DialTimeout:           o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, PipelinePoolSize: o.PipelinePoolSize,
	}
}

// cluster returns the options of a client that asks the server of a key's slot,
// and goes where that sends it.
func (t target) cluster(o redis.Options) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:  t.addrs,
		Dialer: o.Dialer, Username: o.Username, Password: o.Password,
		Protocol: o.Protocol, DisableIdentity: o.DisableIdentity, MaintNotificationsConfig: o.MaintNotificationsConfig,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		DialTimeout:           o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, PipelinePoolSize: o.PipelinePoolSize,
		DisableRoutingPolicies: true, // all that is asked is about one key; it spares COMMAND
	}
}

// dialer returns how a connection is made, with TLS if wanted, to a server that
// proves to be the host that is dialed. The client's own does not stop shaking
// hands when it is closed.
func dialer(life context.Context, secure bool, base *tls.Config) dial {
	var plain net.Dialer
	connect := plain.DialContext
	if secure {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if base != nil {
			conf = base.Clone()
			conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
		}
		connect = (&tls.Dialer{Config: conf}).DialContext // takes the name of the host from the address
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return connect(ctx, network, addr)
	}
}
