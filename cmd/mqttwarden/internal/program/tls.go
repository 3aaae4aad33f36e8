package program

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"

	"mqttwarden/broker"
	"mqttwarden/registry/ca"
)

// clientAuth says whether clients of the TLS listeners show a certificate.
type clientAuth string

const (
	authOptional clientAuth = "optional"
	authRequired clientAuth = "required"
	authOff      clientAuth = "off"
)

// startTLS makes ready the certificate of the TLS listeners, and tells of what time has
// ended.
func (a *app) startTLS(ctx context.Context, c config) error {
	if a.certificate != nil {
		if err := a.startCertificate(ctx); err != nil {
			return err
		}
	}
	return a.tellValidity(ctx)
}

func (a *app) startCertificate(ctx context.Context) error {
	if a.certificate.own == nil {
		files := a.certificate.files
		a.reloads.add("tls-cert, tls-key", watch(files.certFile, files.keyFile), a.reloadCertificate)
		return a.reloadCertificate(ctx)
	}
	a.certificate.own.authority = a.register.PKI.Issuer().Current
	if _, err := a.register.PKI.KeepAuthority(ctx); err != nil { // the janitor tries again
		a.log.Error("the certificate authority can't be renewed", "err", err)
	}
	if err := a.certificate.renew(ctx); err != nil {
		return err
	}
	a.background("RSA certificate", a.certificate.addTwin)
	return nil
}

// reloadCertificate reads the operator's certificate and tells what clients will not
// like about it.
func (a *app) reloadCertificate(ctx context.Context) error {
	if err := a.certificate.renew(ctx); err != nil {
		return err
	}
	if miss := gap(a.certificate.chains(), a.register.PKI.Trust().Pool()); miss != "" {
		a.log.Warn("the chain of the listeners' certificate is not whole", "file", a.certificate.files.certFile, "problem", miss)
	}
	return nil
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

// readClientCAs reads the CA certificates of a file, at most limit, none without a path.
// Those outside their validity are among them.
func readClientCAs(path string, limit int) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	anchors, err := ca.ParseTrustBundle(b, limit)
	if bad, ok := errors.AsType[*ca.CertificateError](err); ok && bad.TooMany {
		return nil, fmt.Errorf("%s: %w: tls-client-ca-max allows more", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	certs := make([]*x509.Certificate, 0, len(anchors))
	for _, anchor := range anchors {
		certs = append(certs, anchor.Certificate)
	}
	return certs, nil
}

// reloadClientCAs reads the trust anchors in a file again.
func (a *app) reloadClientCAs(ctx context.Context, path string, limit int) error {
	certs, err := readClientCAs(path, limit)
	if err != nil {
		return err
	}
	if err := a.register.UseAnchorFiles(ctx, certs); err != nil {
		return err
	}
	return a.tellValidity(ctx)
}
