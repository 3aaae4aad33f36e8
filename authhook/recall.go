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
	Certificate string    `json:"certificate,omitempty"`
	CommonName  string    `json:"commonName,omitempty"`
	Trusted     bool      `json:"trusted,omitempty"`
	Anchor      string    `json:"anchor,omitempty"`
	Token       string    `json:"token,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
}

// Proof returns what Recall needs of the login after a restart.
func (l *Login) Proof() []byte {
	p := &l.proof
	b, err := json.Marshal(proof{
		Username: p.Username, PasswordSet: p.PasswordSet, Certificate: p.Certificate, CommonName: p.CommonName,
		Trusted: p.Trusted, Anchor: p.Anchor, Token: string(p.Token), Expires: p.Expires,
	})
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
	login, err := h.cfg.SignIn.Recall(ctx, registry.UserID(user), registry.Proof{
		Username: p.Username, PasswordSet: p.PasswordSet, Certificate: p.Certificate, CommonName: p.CommonName,
		Trusted: p.Trusted, Anchor: p.Anchor, Token: registry.TokenID(p.Token), Expires: p.Expires,
	})
	switch {
	case errors.Is(err, registry.NotFound):
		return nil, refused(registry.Errorf(registry.Unauthenticated, "", "no such user"))
	case err != nil:
		return nil, refused(err)
	default:
		return h.login(clientID, login), nil
	}
}
