package rediscache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errURL says what is accepted and repeats nothing of what was given, which may
// hold a password.
var errURL = errors.New("the Redis URL must be redis://[user:password@]host[:port][/database], " +
	"or rediss://… for TLS, with nothing after the database; " +
	"characters of user and password other than letters, digits, - . _ and ~ must be percent-encoded")

// ValidateURL reports whether s names a Redis server in a form that Open takes.
// Its error does not repeat s.
func ValidateURL(s string) error {
	_, err := parseURL(s)
	return err
}

// target is one Redis server.
type target struct {
	addr     string // host:port
	host     string
	tls      bool
	user     string
	password string
	db       int
}

func parseURL(s string) (target, error) {
	u, err := url.Parse(s) // its error holds s
	if err != nil {
		return target{}, errURL
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return target{}, errURL
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return target{}, errURL
	}
	t := target{host: u.Hostname(), tls: u.Scheme == "rediss", user: u.User.Username()}
	t.password, _ = u.User.Password()
	if t.password == "" && t.user != "" {
		return target{}, errURL // the client would not sign in at all
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return target{}, errURL
	}
	t.addr = net.JoinHostPort(t.host, port)
	if db := strings.TrimPrefix(u.Path, "/"); db != "" {
		if t.db, err = strconv.Atoi(db); err != nil || t.db < 0 || t.db > 65535 {
			return target{}, errURL
		}
	}
	return t, nil
}

// client returns a client of t that gives up soon and retries nothing: a look-up
// has the store to turn to. Its dials end with ctx.
func (t target) client(ctx context.Context, cfg Config) *redis.Client {
	opt := &redis.Options{
		Addr:     t.addr,
		Username: t.user,
		Password: t.password,
		DB:       t.db,

		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},

		ContextTimeoutEnabled: true, // so that one limit holds for all steps of a look-up
		ReadTimeout:           cfg.Timeout,
		WriteTimeout:          cfg.Timeout,
		PoolTimeout:           cfg.Timeout,
		MaxRetries:            -1,
		DialerRetries:         1,
		PipelinePoolSize:      -1, // nothing is pipelined
	}
	opt.Dialer = t.dialer(ctx, cfg.TLS)
	return redis.NewClient(opt)
}

// dialer dials t, with TLS if it wants so. The client's own does not stop
// shaking hands when it is closed.
func (t target) dialer(life context.Context, base *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	var plain net.Dialer
	dial := plain.DialContext
	if t.tls {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if base != nil {
			conf = base.Clone()
			conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
		}
		if conf.ServerName == "" {
			conf.ServerName = t.host
		}
		dial = (&tls.Dialer{Config: conf}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return dial(ctx, network, addr)
	}
}
