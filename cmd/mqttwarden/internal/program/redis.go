package program

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
)

// connection reads the files that the settings name.
func (c redisConfig) connection() (conn rediscache.Connection, err error) {
	conn.URL = c.url.Reveal()
	if conn.Password, err = secretOf(c.password, c.passwordFile); err != nil {
		return conn, fmt.Errorf("redis-password-file: %w", err)
	}
	if conn.SentinelPassword, err = secretOf(c.sentinelPassword, c.sentinelPasswordFile); err != nil {
		return conn, fmt.Errorf("redis-sentinel-password-file: %w", err)
	}
	conn.TLS, err = c.tls()
	return conn, err
}

// tls returns how Redis proves who it is, and we to it; nil for what is usual.
func (c redisConfig) tls() (*tls.Config, error) {
	if c.caFile == "" && c.cert == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		text, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, fmt.Errorf("redis-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("redis-ca: %s holds no certificate in PEM form", c.caFile)
		}
	}
	if c.cert == "" {
		return conf, nil
	}
	pair := keyPair{certFile: c.cert, keyFile: c.certKey}
	if _, err := pair.load(); err != nil {
		return nil, fmt.Errorf("redis-cert, redis-key: %w", err)
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.load() }
	return conf, nil
}

// secretOf returns a secret that stands in the settings or in a file that they name.
func secretOf(text secret.Text, file string) (secret.Text, error) {
	if file == "" {
		return text, nil
	}
	b, err := os.ReadFile(file)
	return secret.Text(strings.TrimRight(string(b), "\r\n")), err
}
