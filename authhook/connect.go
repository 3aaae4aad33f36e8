package authhook

import (
	"context"
	"crypto/x509"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
	"mqttwarden/registry/peer"
)

// Connect says who sent a CONNECT. An error is a reason code of MQTT 5, too.
func (h *Hook) Connect(ctx context.Context, cl *mqtt.Client, pk packets.Packet) (*Login, error) {
	login, err := h.cfg.SignIn.In(ctx, registry.Attempt{
		Username:        string(pk.Connect.Username),
		Password:        string(pk.Connect.Password),
		HasPassword:     pk.Connect.PasswordFlag,
		Certificate:     h.certificate(cl),
		TokenAsPassword: true,
		ClientID:        cl.ID,
		Remote:          peer.Addr(cl.Net.Conn.RemoteAddr()),
	})
	if err != nil {
		return nil, refused(err)
	}
	l := h.login(cl.ID, login)
	if user := login.Subject.Principal(); user != nil { // or else Check refuses it
		// Asked before the broker gives it hold of the ID, which others would have to
		// wait for.
		if err := l.mayUseClientID(ctx, user); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// certificate returns what the client's certificate is worth, nil if it has
// shown none.
func (h *Hook) certificate(cl *mqtt.Client) *registry.Certificate {
	conn, ok := cl.Net.Conn.(interface {
		PeerCertificates() []*x509.Certificate
	})
	if !ok || h.cfg.Certificate == nil {
		return nil
	}
	chain := conn.PeerCertificates()
	if len(chain) == 0 {
		return nil
	}
	return h.cfg.Certificate(chain)
}
