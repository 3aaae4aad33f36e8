package program

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// listenerConfig is where the program listens, and to whom.
type listenerConfig struct {
	mqtt, mqtts, ws, wss string // empty: off
	http, https, metrics string // empty: off
	wsPaths, wsOrigins   []string
	behindProxy          []string
	proxied              map[string]bool // the listeners that are, by their names
	proxies              []netip.Prefix
	stopTimeout          time.Duration
}

func (c *listenerConfig) section() settings.Section {
	return settings.Section{Title: "Listeners", Settings: []settings.Setting{
		{Name: "mqtt-addr", Value: settings.Address(&c.mqtt, "127.0.0.1:1883"), Default: "127.0.0.1:1883", Help: "MQTT over TCP."},
		{Name: "mqtts-addr", Value: settings.Address(&c.mqtts, "127.0.0.1:8883"), Default: "off", Help: "MQTT over TLS."},
		{Name: "ws-addr", Value: settings.Address(&c.ws, "127.0.0.1:8083"), Default: "off", Help: "MQTT over WebSocket."},
		{Name: "wss-addr", Value: settings.Address(&c.wss, "127.0.0.1:8084"), Default: "off", Help: "MQTT over secure WebSocket."},
		{
			Name: "ws-paths", Value: settings.NonEmptyList(&c.wsPaths, "a path, as in /mqtt", "at least one path, as in /mqtt", parsePath), Default: "/mqtt,/",
			Help: "Paths of the WebSocket listeners.",
		},
		{
			Name: "ws-origins", Value: settings.List(&c.wsOrigins, "a host or a pattern, with a port if it matters, as in *.example.com or app.example.com:8443", parseOrigin),
			Unset: "pages of the same host",
			Help:  "Hosts whose web pages may connect by WebSocket; * for any.",
		},
		{
			Name: "proxy-protocol", Value: settings.List(&c.behindProxy, proxyProtocol, parseProxied), Default: "off",
			Help: "MQTT listeners that stand behind a proxy that sends the PROXY header (version 1 or 2). They serve connections from trusted-proxies only, and only with that header.",
		},
		{Name: "trusted-proxies", Value: settings.Networks(&c.proxies), Help: "Networks whose X-Forwarded-For or PROXY header is believed."},
		{Name: "http-addr", Value: settings.Address(&c.http, "127.0.0.1:8080"), Default: "127.0.0.1:8080", Help: "API over HTTP."},
		{Name: "https-addr", Value: settings.Address(&c.https, "127.0.0.1:8443"), Default: "off", Help: "API over HTTPS."},
		{
			Name: "metrics-addr", Value: settings.Address(&c.metrics, "127.0.0.1:9090"), Unset: "/metrics on the HTTP listener, needs a right",
			Help: "Metrics on an address of their own, without sign-in.",
		},
		{Name: "stop-timeout", Value: settings.Duration(&c.stopTimeout, time.Second, 10*time.Minute), Default: "10s", Help: "Time that a graceful stop may take."},
	}, Check: c.check}
}

func (c *listenerConfig) check(p *settings.Problems) {
	if c.mqtt+c.mqtts+c.ws+c.wss+c.http+c.https == "" {
		p.Refuse("mqtt-addr, mqtts-addr, ws-addr, wss-addr, http-addr, https-addr", "off", "on for at least one")
	}
	given := strings.Join(c.behindProxy, ",")
	c.proxied = make(map[string]bool)
	switch given {
	case "", "off":
		return
	case "on":
		c.behindProxy = mqttListeners
	}
	for _, name := range c.behindProxy {
		if !slices.Contains(mqttListeners, name) {
			p.Refuse("proxy-protocol", name, proxyProtocol)
		}
		c.proxied[name] = true
	}
	if len(c.proxies) == 0 {
		p.Refuse("proxy-protocol", given, "off while trusted-proxies names no network")
	}
}

// mqttListeners are the names of the listeners for MQTT.
var mqttListeners = []string{"mqtt", "mqtts", "ws", "wss"}

// proxyProtocol is what the setting of that name accepts.
const proxyProtocol = "off, on, or some of mqtt, mqtts, ws, wss"

func parseProxied(text string) (string, bool) {
	return text, text == "on" || text == "off" || slices.Contains(mqttListeners, text)
}

func parsePath(text string) (string, bool) {
	return text, strings.HasPrefix(text, "/") && !strings.ContainsAny(text, "?#")
}

func parseOrigin(text string) (string, bool) {
	_, err := path.Match(text, "")
	return text, err == nil && !strings.Contains(text, "/")
}
