package program

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"mqttwarden/registry/durable"

	"mqttwarden/broker"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/pki"
)

// clientAuth says whether clients of the TLS listeners show a certificate.
type clientAuth string

const (
	authOptional clientAuth = "optional"
	authRequired clientAuth = "required"
	authOff      clientAuth = "off"
)

// startTLS makes ready the certificate of the TLS listeners.
func (a *app) startTLS(ctx context.Context, c config) error {
	if a.certificate == nil {
		return nil
	}
	a.certificate.issuer = a.register.PKI.Issuer()
	if !a.certificate.made {
		a.reloads.add("tls-cert, tls-key", watch(c.tlsCert, c.tlsKey), a.certificate.renew)
	}
	return a.certificate.renew(ctx)
}

// newServerCertificate returns the certificate of the TLS listeners, nil without any.
// There is none to show before startTLS.
func newServerCertificate(c config) *serverCertificate {
	switch {
	case c.mqtts == "" && c.wss == "" && c.https == "":
		return nil
	case c.tlsCert != "":
		return &serverCertificate{certFile: c.tlsCert, keyFile: c.tlsKey}
	default:
		return &serverCertificate{
			certFile: filepath.Join(c.dataDir, "server.crt"), keyFile: filepath.Join(c.dataDir, "server.key"),
			made: true, hosts: listenerHosts(c),
		}
	}
}

// mqttListeners returns what the broker listens on. A listener has the name of
// its scheme.
func (a *app) mqttListeners(c config) []broker.Listener {
	var secure *broker.TLS
	if a.certificate != nil {
		secure = &broker.TLS{Certificate: a.certificate.get, ClientAuth: c.tlsClientAuth.broker()}
	}
	web := &broker.WebSocket{Paths: c.wsPaths, Origins: c.wsOrigins}
	var on []broker.Listener
	for _, l := range []broker.Listener{
		{Name: "mqtt", Address: c.mqtt},
		{Name: "mqtts", Address: c.mqtts, TLS: secure},
		{Name: "ws", Address: c.ws, WebSocket: web},
		{Name: "wss", Address: c.wss, TLS: secure, WebSocket: web},
	} {
		if l.Address != "" {
			l.ProxyProtocol = c.proxied[l.Name]
			on = append(on, l)
		}
	}
	return on
}

// httpsConfig returns the settings of the HTTPS listener. As over MQTT, a client
// certificate of unknown origin is not refused here: it may be registered.
func (a *app) httpsConfig(c config) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.certificate.get, ClientAuth: c.tlsClientAuth.tls()}
}

func (m clientAuth) broker() broker.ClientAuth {
	switch m {
	case authRequired:
		return broker.ClientCertRequired
	case authOff:
		return broker.ClientCertIgnored
	default:
		return broker.ClientCertRequested
	}
}

func (m clientAuth) tls() tls.ClientAuthType {
	switch m {
	case authRequired:
		return tls.RequireAnyClientCert
	case authOff:
		return tls.NoClientCert
	default:
		return tls.RequestClientCert
	}
}

// serverCertificate is the certificate of the TLS listeners, from the files in the
// settings or, without any, issued by our own CA into the data directory.
type serverCertificate struct {
	certFile, keyFile string
	made              bool // issued by us, and so renewed by us
	issuer            *pki.Issuer
	hosts             []string
	current           atomic.Pointer[tls.Certificate]
}

func (s *serverCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}

// renew reads the certificate again, and issues one where it is ours to do: when
// there is none, when a third of its life is left, when it lacks a host, or when
// the authority is another.
func (s *serverCertificate) renew(context.Context) error {
	cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if s.made && (err != nil || !s.lasts(&cert)) {
		if err := s.issue(); err != nil {
			return fmt.Errorf("issue a certificate for the listeners: %w", err)
		}
		cert, err = tls.LoadX509KeyPair(s.certFile, s.keyFile)
	}
	if err != nil {
		return fmt.Errorf("tls-cert, tls-key: %w", err)
	}
	s.current.Store(&cert)
	return nil
}

func (s *serverCertificate) lasts(cert *tls.Certificate) bool {
	leaf := cert.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if time.Until(leaf.NotAfter) < life/3 || leaf.CheckSignatureFrom(s.issuer.Current().Certificates()[0]) != nil {
		return false
	}
	return !slices.ContainsFunc(s.hosts, func(h string) bool { return leaf.VerifyHostname(h) != nil })
}

func (s *serverCertificate) issue() error {
	made, err := s.issuer.Current().IssueServer(s.hosts, time.Now())
	if err != nil {
		return err
	}
	if err := durable.Write(s.keyFile, made.PrivateKeyPEM(), 0o600); err != nil {
		return err
	}
	return durable.Write(s.certFile, []byte(made.FullPEM), 0o644)
}

// hostName matches the names of machines that fit into a certificate.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$`)

// listenerHosts returns the names under which clients may reach the listeners.
func listenerHosts(c config) []string {
	if len(c.tlsHosts) > 0 {
		return c.tlsHosts
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && hostName.MatchString(name) {
		hosts = append(hosts, name)
	}
	for _, address := range []string{c.mqtts, c.wss, c.https} {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && host != "" && (ip == nil || !ip.IsUnspecified()) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// readCertificates reads the CA certificates of a file, none without a path.
func readCertificates(path string) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	anchors, err := ca.ParseTrustPEM(b, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	certs := make([]*x509.Certificate, 0, len(anchors))
	for _, anchor := range anchors {
		certs = append(certs, anchor.Certificate)
	}
	return certs, nil
}
