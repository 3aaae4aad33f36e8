package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mqttwarden/registry/pki"
	"mqttwarden/registry/secret"
)

// storeFlags say where the store is and how it is opened. Everything is text
// here: config turns it into values and tells all that is wrong at once.
type storeFlags struct {
	Config        configFile `placeholder:"FILE" help:"YAML file; every setting may stand in it."`
	DataDir       string     `default:"./data" help:"Directory of the store, the master key and made certificates."`
	Database      string     `default:"sqlite" help:"System of record: sqlite (in the data directory)."`
	MasterKeyFile string     `placeholder:"FILE" help:"Key that seals what is secret in the store (default: master.key in the data directory, made on the first start)."`
	LogLevel      string     `default:"info" help:"debug, info, warn or error."`
	LogFormat     string     `default:"text" help:"text or json."`

	HashMemory  string `default:"19456" help:"Argon2id memory of a new password hash, in KiB."`
	HashTime    string `default:"2" help:"Argon2id passes of a new password hash."`
	HashThreads string `default:"1" help:"Argon2id lanes of a new password hash."`
	HashWorkers string `default:"0" help:"Passwords hashed at once; 0: half the cores."`

	CA caFlags `embed:"" prefix:"ca-"`
}

// caFlags say how our own certificate authority issues.
type caFlags struct {
	Name    string `default:"mqttwarden" help:"Organization in the names of CAs that are made."`
	URL     string `placeholder:"URL" help:"Where others reach this API, http or https; with it, certificates name their CRL and OCSP responder."`
	Life    string `default:"8760h" help:"Life of a device's certificate."`
	Overlap string `default:"24h" help:"How long a renewed certificate goes on."`
}

// serveFlags are the settings of serve.
type serveFlags struct {
	storeFlags
	MQTTAddr       string `name:"mqtt-addr" default:"127.0.0.1:1883" help:"MQTT over TCP, host:port; off to have none."`
	MQTTSAddr      string `name:"mqtts-addr" default:"off" help:"MQTT over TLS, host:port."`
	WSAddr         string `name:"ws-addr" default:"off" help:"MQTT over WebSocket, host:port."`
	WSSAddr        string `name:"wss-addr" default:"off" help:"MQTT over secure WebSocket, host:port."`
	WSPaths        string `name:"ws-paths" default:"/mqtt,/" help:"Paths of the WebSocket listeners, comma-separated."`
	WSOrigins      string `name:"ws-origins" help:"Hosts whose web pages may connect by WebSocket, patterns as in *.example.com, comma-separated; * for any (default: pages of the same host)."`
	ProxyProtocol  string `default:"off" help:"MQTT listeners that stand behind a proxy that sends the PROXY header (version 1 or 2): off, on for all, or some of mqtt, mqtts, ws, wss, comma-separated. They serve connections from trusted-proxies only, and only with that header."`
	HTTPAddr       string `name:"http-addr" default:"127.0.0.1:8080" help:"API over HTTP, host:port; off to have none."`
	HTTPSAddr      string `name:"https-addr" default:"off" help:"API over HTTPS, host:port."`
	MetricsAddr    string `default:"" help:"Metrics on an address of their own, without sign-in (default: /metrics on the HTTP listener, needs a right)."`
	TLSCert        string `name:"tls-cert" placeholder:"FILE" help:"Certificate of the TLS listeners with its chain, PEM (default: the own CA issues one)."`
	TLSKey         string `name:"tls-key" placeholder:"FILE" help:"Private key of tls-cert, PEM."`
	TLSHosts       string `name:"tls-hosts" help:"Names and addresses in a certificate that the own CA issues for the TLS listeners, comma-separated (default: localhost, the host's name, the addresses listened on)."`
	TLSClientCA    string `name:"tls-client-ca" placeholder:"FILE" help:"CAs whose client certificates sign in by the name they carry, PEM; further ones may be uploaded."`
	TLSClientAuth  string `name:"tls-client-auth" default:"optional" help:"Whether clients must show a certificate: optional, required or off."`
	TLSClientName  string `name:"tls-client-name" default:"cn" help:"Where the user name stands in a certificate: cn, dns, email, uri, or fingerprint for registered ones only."`
	Redis          string `help:"Shared cache: redis:// or rediss:// URL."`
	AdminPassword  string `help:"Password of the user admin, used on the first start only (default: a random one, printed once)."`
	AdminPassFile  string `name:"admin-password-file" placeholder:"FILE" help:"File that holds the admin password."`
	TrustedProxies string `help:"Networks whose X-Forwarded-For or PROXY header is believed, comma-separated."`
	MaxStale       string `default:"5m" help:"How long rights in memory are trusted while the store can't be asked."`
	TokenMaxHours  string `default:"876000" help:"Longest life of a token that a login may ask for."`
	QueryToken     string `name:"query-token" default:"true" help:"Accept ?apiToken= besides the Authorization header."`
	StopTimeout    string `default:"10s" help:"Time that a graceful stop may take."`

	Sessions        string `default:"on" help:"Whether sessions and retained messages survive a restart: on or off."`
	SessionsFlush   string `default:"100ms" help:"How often they are written to disk: what a kill may lose."`
	SessionsPending string `default:"67108864" help:"Bytes of them that may wait to be written; what is above does not survive a restart."`

	Limits limitFlags `embed:"" prefix:"limits-"`
}

// storeConfig is what storeFlags mean.
type storeConfig struct {
	dataDir   string
	keyFile   string
	logLevel  slog.Level
	logJSON   bool
	hash      secret.Params
	hashLimit int

	caName, caURL     string
	caLife, caOverlap time.Duration
}

// config is what serveFlags mean.
type config struct {
	storeConfig
	mqtt, mqtts, ws, wss         string // empty: off
	http, https, metrics         string // empty: off
	wsPaths, wsOrigins           []string
	proxied                      map[string]bool // listeners behind a proxy
	tlsCert, tlsKey, tlsClientCA string
	tlsHosts                     []string
	tlsClientAuth                clientAuth
	tlsClientName                pki.Mapping
	redis                        secret.Text
	adminPassword                secret.Text
	adminPasswordFile            string
	proxies                      []netip.Prefix
	maxStale, stopTimeout        time.Duration
	tokenMax                     time.Duration
	queryToken                   bool
	sessionsFile                 string // empty: nothing survives a restart
	sessionsFlush                time.Duration
	sessionsPending              int
	limits                       limits
}

// parser turns settings into values and collects what is wrong with them.
type parser struct{ problems []error }

// bad notes that the value of key is not accepted. secret values are not told.
func (p *parser) bad(key, value, want string) {
	p.problems = append(p.problems, fmt.Errorf("  %s: %q: must be %s", key, value, want))
}

// number returns a number of whatever size its place has; low when it is not
// accepted.
func number[T uint8 | uint16 | int32 | uint32 | int64 | int](p *parser, key, value string, low, high T) T {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		p.bad(key, value, fmt.Sprintf("a number from %d to %d", low, high))
		return low
	}
	return T(n) // #nosec G115 -- low and high are of that size
}

func (p *parser) duration(key, value string, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < low || d > high {
		p.bad(key, value, fmt.Sprintf("a duration from %s to %s, as in 90s or 5m", low, high))
	}
	return d
}

// seconds is duration for what is told to clients, who know whole seconds only.
func (p *parser) seconds(key, value string, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < low || d > high || d%time.Second != 0 {
		p.bad(key, value, fmt.Sprintf("a duration from %s to %s in whole seconds, as in 90s or 5m", low, high))
	}
	return d
}

func (p *parser) boolean(key, value string) bool {
	b, err := strconv.ParseBool(value)
	if err != nil {
		p.bad(key, value, "true or false")
	}
	return b
}

// address returns an address to listen on, empty for off.
func (p *parser) address(key, value string) string {
	if value == "off" || value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
		p.bad(key, value, "host:port, as in 127.0.0.1:1883, or off")
	}
	return value
}

func (p *parser) networks(key, value string) []netip.Prefix {
	var out []netip.Prefix
	for _, part := range list(value) {
		n, err := netip.ParsePrefix(part)
		if addr, aerr := netip.ParseAddr(part); err != nil && aerr == nil {
			n, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			p.bad(key, part, "a network, as in 10.0.0.0/8")
			continue
		}
		out = append(out, n)
	}
	return out
}

// list returns the parts of a value between commas, less the empty ones.
func list(value string) []string {
	var out []string
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (p *parser) paths(key, value string) []string {
	all := list(value)
	for _, part := range all {
		if !strings.HasPrefix(part, "/") || strings.ContainsAny(part, "?#") {
			p.bad(key, part, "a path, as in /mqtt")
		}
	}
	if len(all) == 0 {
		p.bad(key, value, "at least one path, as in /mqtt")
	}
	return all
}

func (p *parser) origins(key, value string) []string {
	all := list(value)
	for _, part := range all {
		if _, err := path.Match(part, ""); err != nil || strings.Contains(part, "/") {
			p.bad(key, part, "a host or a pattern, with a port if it matters, as in *.example.com or app.example.com:8443")
		}
	}
	return all
}

// behindProxy returns which listeners stand behind a proxy.
func (p *parser) behindProxy(key, value string, c config) map[string]bool {
	names := []string{"mqtt", "mqtts", "ws", "wss"}
	chosen := list(value)
	switch value {
	case "off", "":
		return nil
	case "on":
		chosen = names
	}
	proxied := make(map[string]bool)
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			p.bad(key, name, "off, on, or some of "+strings.Join(names, ", "))
		}
		proxied[name] = true
	}
	if len(c.proxies) == 0 {
		p.bad(key, value, "off while trusted-proxies names no network")
	}
	return proxied
}

// store reads the settings of the store.
func (f *storeFlags) parse(p *parser) storeConfig {
	c := storeConfig{dataDir: f.DataDir, keyFile: f.MasterKeyFile}
	if c.dataDir == "" {
		p.bad("data-dir", "", "a directory")
	}
	if c.keyFile == "" {
		c.keyFile = filepath.Join(c.dataDir, "master.key")
	}
	if f.Database != "sqlite" {
		p.bad("database", redactURL(f.Database), "sqlite")
	}
	if err := c.logLevel.UnmarshalText([]byte(f.LogLevel)); err != nil {
		p.bad("log-level", f.LogLevel, "debug, info, warn or error")
	}
	if c.logJSON = f.LogFormat == "json"; !c.logJSON && f.LogFormat != "text" {
		p.bad("log-format", f.LogFormat, "text or json")
	}
	c.hash = secret.Params{
		Memory:  number[uint32](p, "hash-memory", f.HashMemory, 8, 1<<18),
		Time:    number[uint32](p, "hash-time", f.HashTime, 1, 64),
		Threads: number[uint8](p, "hash-threads", f.HashThreads, 1, 16),
	}
	if err := c.hash.Validate(); err != nil && len(p.problems) == 0 {
		p.problems = append(p.problems, fmt.Errorf("  hash-memory, hash-time, hash-threads: %w", err))
	}
	c.hashLimit = number(p, "hash-workers", f.HashWorkers, 0, 1024)
	c.caName, c.caURL = f.CA.Name, strings.TrimSuffix(f.CA.URL, "/")
	if u, err := url.Parse(c.caURL); c.caURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		p.bad("ca-url", redactURL(c.caURL), "an http:// or https:// URL")
	}
	c.caLife = p.duration("ca-life", f.CA.Life, time.Minute, 10*365*24*time.Hour)
	c.caOverlap = p.duration("ca-overlap", f.CA.Overlap, time.Minute, 365*24*time.Hour)
	return c
}

func (f *serveFlags) parse(p *parser) config {
	c := config{
		storeConfig: f.storeFlags.parse(p),
		mqtt:        p.address("mqtt-addr", f.MQTTAddr),
		mqtts:       p.address("mqtts-addr", f.MQTTSAddr),
		ws:          p.address("ws-addr", f.WSAddr),
		wss:         p.address("wss-addr", f.WSSAddr),
		wsPaths:     p.paths("ws-paths", f.WSPaths),
		wsOrigins:   p.origins("ws-origins", f.WSOrigins),
		http:        p.address("http-addr", f.HTTPAddr),
		https:       p.address("https-addr", f.HTTPSAddr),
		metrics:     p.address("metrics-addr", f.MetricsAddr),
		tlsCert:     f.TLSCert, tlsKey: f.TLSKey, tlsClientCA: f.TLSClientCA,
		redis:             secret.Text(f.Redis),
		adminPassword:     secret.Text(f.AdminPassword),
		adminPasswordFile: f.AdminPassFile,
		proxies:           p.networks("trusted-proxies", f.TrustedProxies),
		maxStale:          p.duration("max-stale", f.MaxStale, time.Second, 24*time.Hour),
		stopTimeout:       p.duration("stop-timeout", f.StopTimeout, time.Second, 10*time.Minute),
		tokenMax:          time.Duration(number(p, "token-max-hours", f.TokenMaxHours, 1, 876_000)) * time.Hour,
		queryToken:        p.boolean("query-token", f.QueryToken),
		sessionsFlush:     p.duration("sessions-flush", f.SessionsFlush, time.Millisecond, time.Minute),
		sessionsPending:   number[int](p, "sessions-pending", f.SessionsPending, 1<<20, 1<<34),
		limits:            f.Limits.parse(p),
	}
	c.proxied = p.behindProxy("proxy-protocol", f.ProxyProtocol, c)
	switch f.Sessions {
	case "on":
		c.sessionsFile = filepath.Join(c.dataDir, "sessions.db")
	case "off":
	default:
		p.bad("sessions", f.Sessions, "on or off")
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		p.bad("tls-cert, tls-key", c.tlsCert+c.tlsKey, "given together")
	}
	c.tlsHosts = list(f.TLSHosts)
	c.tlsClientAuth = clientAuth(f.TLSClientAuth)
	if c.tlsClientAuth != authOptional && c.tlsClientAuth != authRequired && c.tlsClientAuth != authOff {
		p.bad("tls-client-auth", f.TLSClientAuth, "optional, required or off")
	}
	var err error
	if c.tlsClientName, err = pki.ParseMapping(f.TLSClientName); err != nil {
		p.bad("tls-client-name", f.TLSClientName, "cn, dns, email, uri or fingerprint")
	}
	if c.adminPassword != "" && c.adminPasswordFile != "" {
		p.problems = append(p.problems, errors.New("  admin-password, admin-password-file: must not both be given"))
	}
	if u, err := url.Parse(f.Redis); f.Redis != "" && (err != nil || (u.Scheme != "redis" && u.Scheme != "rediss")) {
		p.bad("redis", redactURL(f.Redis), "a redis:// or rediss:// URL")
	}
	if c.mqtt+c.mqtts+c.ws+c.wss+c.http+c.https == "" {
		p.bad("mqtt-addr, mqtts-addr, ws-addr, wss-addr, http-addr, https-addr", "off", "on for at least one")
	}
	return c
}

// redactURL returns a URL fit to be shown: without a password, and nothing of
// what is no URL.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "…"
	}
	return u.Redacted()
}

// join returns all problems as one error, nil if there are none.
func join(problems ...error) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("these settings are not accepted:\n%w", errors.Join(problems...))
}
