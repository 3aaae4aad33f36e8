package authhook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mqttwarden/registry"
)

// proof is what is written down of a login for the time after a restart. Nothing
// in it is believed then: it is judged by what is registered.
type proof struct {
	Username    string    `json:"username"`
	PasswordSet time.Time `json:"passwordSet,omitzero"`
	Token       string    `json:"token,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`

	Certificate     string      `json:"certificate,omitempty"`
	CertificateEnds time.Time   `json:"certificateEnds,omitzero"`
	CommonName      string      `json:"commonName,omitempty"`
	Own             bool        `json:"own,omitempty"`
	Trusted         bool        `json:"trusted,omitempty"`
	Paths           []trustPath `json:"paths,omitempty"`
}

// trustPath is a registry.TrustPath.
type trustPath struct {
	Anchor   string    `json:"anchor"`
	NotAfter time.Time `json:"notAfter"`
}

// Proof returns what Recall needs of the login after a restart.
func (l *Login) Proof() []byte {
	p := &l.proof
	w := proof{
		Username: p.Username, PasswordSet: p.PasswordSet, Token: string(p.Token), Expires: p.Expires,
		Certificate: p.Certificate, CertificateEnds: p.CertificateEnds, CommonName: p.CommonName, Own: p.Own, Trusted: p.Trusted,
	}
	for _, path := range p.Paths {
		w.Paths = append(w.Paths, trustPath(path))
	}
	b, err := json.Marshal(w)
	if err != nil {
		panic(err) // it has nothing that could fail
	}
	return b
}

// Recall returns the login of a session from before a restart, of which Proof was
// written down. It is refused if there is no such user any more; whether the login
// holds is for Login.Check to say.
func (h *Hook) Recall(ctx context.Context, clientID, user string, written []byte) (*Login, error) {
	var p proof
	if err := json.Unmarshal(written, &p); err != nil {
		return nil, refused(registry.Errorf(registry.Unauthenticated, "", "proof can't be read"))
	}
	login, err := h.cfg.SignIn.Recall(ctx, registry.UserID(user), p.proof())
	switch {
	case errors.Is(err, registry.NotFound):
		return nil, refused(registry.Errorf(registry.Unauthenticated, "", "no such user"))
	case err != nil:
		return nil, refused(err)
	default:
		return h.login(clientID, login), nil
	}
}

func (p *proof) proof() registry.Proof {
	pf := registry.Proof{
		Username: p.Username, PasswordSet: p.PasswordSet, Token: registry.TokenID(p.Token), Expires: p.Expires,
		Certificate: p.Certificate, CertificateEnds: p.CertificateEnds, CommonName: p.CommonName, Own: p.Own, Trusted: p.Trusted,
	}
	for _, path := range p.Paths {
		pf.Paths = append(pf.Paths, registry.TrustPath(path))
	}
	return pf
}
