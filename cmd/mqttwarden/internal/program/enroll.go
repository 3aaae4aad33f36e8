package program

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mqttwarden/registry/durable"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// enrollCmd is a device that registers itself: it makes a key, asks to be let in,
// asks again until somebody decides, and keeps what it is given. Run again after
// a crash it goes on where it was: the request on disk is sent once more.
type enrollCmd struct {
	server, username, context string
	roles                     []string
	dir, caFile               string
	passwordFile              string
	password                  string // of a user that exists; empty: there is none yet
	timeout                   time.Duration
}

// Sections implements settings.Command.
func (c *enrollCmd) Sections() []settings.Section {
	return []settings.Section{{Title: "Settings", Settings: []settings.Setting{
		{
			Name: "server", Value: settings.URL(&c.server, "an http:// or https:// URL", settings.HTTP), Required: true, Placeholder: "URL",
			Help: "Where the API is, as in https://broker.example:8443.",
		},
		{
			Name: "username", Value: settings.Parsed(&c.username, "fit for the name of a file", func(text string) (string, bool) { return text, filepath.Base(text) == text }), Required: true,
			Help: "User name that the device asks for.",
		},
		{Name: "context", Value: settings.Text(&c.context), Default: "mqttwarden enroll", Help: "What the person who decides should know."},
		{Name: "roles", Value: settings.List(&c.roles, "", func(text string) (string, bool) { return text, true }), Help: "Names of roles that the device wishes for."},
		{Name: "dir", Value: settings.Directory(&c.dir), Default: ".", Help: "Where <username>.key, .csr, .crt and .ca are kept."},
		{
			Name: "ca-file", Value: settings.File(&c.caFile), Placeholder: "FILE", Unset: "the system's",
			Help: "CAs that the server's certificate is checked against, PEM.",
		},
		{
			Name: "password-file", Value: settings.File(&c.passwordFile), Placeholder: "FILE",
			Help: "File with the password of a user that exists and gets its first certificate: nobody has to confirm that.",
		},
		{Name: "timeout", Value: settings.Duration(&c.timeout, time.Second, 24*time.Hour), Default: "15m", Help: "How long to go on asking."},
	}}}
}

// Run registers, waits until an operator has decided, and stores the certificate.
func (c *enrollCmd) Run(ctx context.Context, s streams, given *settings.Reader, pace Pace) error {
	if err := given.Read(c); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := c.readPassword(); err != nil {
		return err
	}
	where, err := url.JoinPath(c.server, c.route())
	if err != nil {
		return err
	}
	csr, err := c.request()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"username": c.username, "csr": base64.StdEncoding.EncodeToString(csr), "context": c.context, "roles": c.roles,
	})
	if c.password != "" {
		body, err = json.Marshal(map[string]any{"csr": base64.StdEncoding.EncodeToString(csr)})
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.await(ctx, s, &asker{client: client, where: where, body: body, username: c.username, password: c.password, first: pace.Ask})
	if err != nil {
		return err
	}
	return c.keep(s, answer)
}

// await asks until the registration is granted. It says once of each thing what is
// waited for.
func (c *enrollCmd) await(ctx context.Context, s streams, server *asker) (registration, error) {
	told := make(map[string]bool)
	var last registration
	for {
		answer, again, err := server.ask(ctx)
		if err != nil || answer.Status == granted {
			return answer, err
		}
		if last.Status == "" || ctx.Err() == nil { // else it was cut by the end of the time
			last = answer
		}
		if topic := answer.Status + answer.PairingCode; !told[topic] && ctx.Err() == nil {
			told[topic] = true
			if err := c.tell(s, answer); err != nil {
				return registration{}, err
			}
		}
		select {
		case <-ctx.Done():
			return registration{}, c.over(ctx, last)
		case <-time.After(again):
		}
	}
}

// over says what was waited for in vain.
func (c *enrollCmd) over(ctx context.Context, last registration) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("stopped: run the same command again to go on")
	case last.Status == away:
		return fmt.Errorf("the server was not there within %s (%s): run the same command again to go on", c.timeout, last.Message)
	default:
		return fmt.Errorf("nobody decided within %s: run the same command again to go on", c.timeout)
	}
}

// readPassword reads the password file, if there is one.
func (c *enrollCmd) readPassword() error {
	if c.passwordFile == "" {
		return nil
	}
	b, err := os.ReadFile(c.passwordFile)
	if c.password = strings.TrimRight(string(b), "\r\n"); err == nil && c.password == "" {
		err = fmt.Errorf("password-file: %s is empty", c.passwordFile)
	}
	return err
}

// tell says what the person at the other end has to do.
func (c *enrollCmd) tell(s streams, answer registration) error {
	text := "The server is busy; asking again."
	switch answer.Status {
	case away:
		text = fmt.Sprintf("The server is not there (%s); asking again for up to %s.", answer.Message, c.timeout)
	case "locked":
		text = "The server takes no registrations now; waiting for an operator to open it."
	case "pending":
		text = fmt.Sprintf("Waiting for an operator to confirm %s. Pairing code: %s", c.username, answer.PairingCode)
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}

// client returns an HTTP client that trusts the CAs of the file, if one is given.
func (c *enrollCmd) client() (*http.Client, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		b, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, err
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("ca-file: %s holds no certificate in PEM form", c.caFile)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: secure, Proxy: http.ProxyFromEnvironment},
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// request returns the certificate request of this device. The key is on disk
// before the request is, and the request before it is sent.
func (c *enrollCmd) request() ([]byte, error) {
	csr, err := os.ReadFile(c.path("csr"))
	if !errors.Is(err, fs.ErrNotExist) {
		return csr, err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := durable.Write(c.path("key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: c.username}}, key)
	if err != nil {
		return nil, err
	}
	csr = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return csr, durable.Write(c.path("csr"), csr, 0o644)
}

// route is where the request goes to.
func (c *enrollCmd) route() string {
	if c.password != "" {
		return "/api/client-registry/renew"
	}
	return "/api/client-registry/register"
}

// keep writes what the device was given.
func (c *enrollCmd) keep(s streams, answer registration) error {
	if answer.Certificate == "" {
		return errors.New("the server granted the registration without a certificate")
	}
	if err := durable.Write(c.path("ca"), []byte(answer.CACertificates), 0o644); err != nil {
		return err
	}
	if err := durable.Write(c.path("crt"), []byte(answer.Certificate), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "Granted. Key %s, certificate %s, CAs %s.\n", c.path("key"), c.path("crt"), c.path("ca"))
	return err
}

func (c *enrollCmd) path(kind string) string { return filepath.Join(c.dir, c.username+"."+kind) }
