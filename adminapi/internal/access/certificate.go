package access

import (
	"errors"
	"net/http"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/registry"
)

// byCertificate signs the sender of r in with the client certificate of its TLS
// connection alone. A browser shows a certificate to every server that asks for one,
// so a certificate that signs nobody in counts as no credential, not as a wrong one.
func (c *Control) byCertificate(r *http.Request) (registry.Login, error) {
	shown := c.certificate(r)
	if shown == nil {
		return registry.Login{}, registry.Errorf(registry.Unauthenticated, "", "a credential is needed")
	}
	login, err := c.SignIn.In(r.Context(), registry.Attempt{Certificate: shown, Remote: request.From(r.Context()).Remote})
	if errors.Is(err, registry.Forbidden) {
		_, _, detail := registry.Public(err)
		return registry.Login{}, registry.Errorf(registry.Unauthenticated, "", "a credential is needed: %s", detail)
	}
	return login, err
}

// byPassword signs the sender of r in with a name and a password, and with its
// client certificate too where the password is right but not enough. A certificate
// of another user is refused then.
func (c *Control) byPassword(r *http.Request, username, password string) (registry.Login, error) {
	attempt := registry.Attempt{Username: username, Password: password, HasPassword: true, Remote: request.From(r.Context()).Remote}
	login, err := c.SignIn.In(r.Context(), attempt)
	if !errors.Is(err, registry.Forbidden) {
		return login, err
	}
	if attempt.Certificate = c.certificate(r); attempt.Certificate == nil {
		return registry.Login{}, err
	}
	return c.SignIn.In(r.Context(), attempt)
}

// certificate returns the client certificate of r as a credential, nil for none.
func (c *Control) certificate(r *http.Request) *registry.Certificate {
	if c.Certificate == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return c.Certificate(r.TLS)
}
