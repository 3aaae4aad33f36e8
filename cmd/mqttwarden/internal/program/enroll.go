package program

import (
	"bytes"
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
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
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

// registration is the answer of the register endpoint, in all its forms.
type registration struct {
	Status         string `json:"status"`
	PairingCode    string `json:"pairingCode"`
	Certificate    string `json:"certificate"`
	CACertificates string `json:"caCertificates"`
	Message        string `json:"message"`
}

// Run registers, waits until an operator has decided, and stores the certificate.
func (c *enrollCmd) Run(ctx context.Context, s streams, given *settings.Reader) error {
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
	said := ""
	for {
		answer, again, err := c.ask(ctx, client, body)
		if err != nil {
			return err
		}
		if answer.Status == "granted" {
			return c.keep(s, answer)
		}
		if answer.Status != said {
			said = answer.Status
			if err := c.tell(s, answer); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody decided within %s: run the same command again to go on", c.timeout)
		case <-time.After(again):
		}
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

// ask sends the request once and returns the answer and when to ask again. A
// server that is busy or out of reach for a moment is asked again.
func (c *enrollCmd) ask(ctx context.Context, client *http.Client, body []byte) (registration, time.Duration, error) {
	const moment = 5 * time.Second
	where, err := url.JoinPath(c.server, c.route())
	if err != nil {
		return registration{}, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return registration{}, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.password != "" {
		req.SetBasicAuth(c.username, c.password)
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return registration{}, moment, nil // the caller tells that the time is over
		}
		return registration{}, 0, err
	}
	defer res.Body.Close()
	var answer registration
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer); err != nil {
		return registration{}, 0, fmt.Errorf("the server's answer (%s) is not understood: %w", res.Status, err)
	}
	again := moment
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		again = min(time.Duration(n)*time.Second, time.Minute)
	}
	if c.password != "" && res.StatusCode == http.StatusCreated {
		answer.Status = "granted"
	}
	switch res.StatusCode {
	case http.StatusCreated, http.StatusAccepted, http.StatusLocked:
		return answer, again, nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return registration{Status: "busy"}, again, nil
	}
	if c.password != "" {
		return registration{}, 0, fmt.Errorf("the server refuses: %s", answer.Message)
	}
	switch res.StatusCode {
	case http.StatusForbidden:
		return registration{}, 0, errors.New("an operator refused the registration")
	case http.StatusConflict:
		return registration{}, 0, fmt.Errorf("%s: another device has this user name, or asked for it; with the password of the user, give --password-file", answer.Message)
	default:
		return registration{}, 0, fmt.Errorf("the server refuses: %s", answer.Message)
	}
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
