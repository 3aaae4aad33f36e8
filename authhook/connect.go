package authhook

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/registry"
)

// OnConnect implements mqtt.Hook: it lets a client in and makes its session, or
// answers the CONNECT itself and returns why, which alone would close the
// connection without a word.
func (h *Hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	err := h.connect(cl, &pk)
	if err == nil {
		return nil
	}
	code := refusal(err)
	h.counts.refused[code.Code].Add(1)
	h.counts.limited(err)
	h.log.Info("connect refused", "client", printable(cl.ID), "user", printable(string(pk.Connect.Username)),
		"remote", cl.Net.Remote, "code", fmt.Sprintf("%#02x", code.Code), "reason", printable(err.Error()))
	_ = h.host.Refuse(cl, connack(code, cl.Properties.ProtocolVersion))
	return code
}

// OnConnectAuthenticate implements mqtt.Hook. OnConnect has done the work; this
// confirms that it did.
func (h *Hook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	return sessionOf(cl) != nil
}

// OnAuthPacket implements mqtt.Hook. No CONNECT that names an authentication
// method is accepted, and without one no AUTH may be sent [MQTT-4.12.0-6].
func (h *Hook) OnAuthPacket(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	return pk, packets.ErrProtocolViolation
}

// connect decides about a CONNECT.
func (h *Hook) connect(cl *mqtt.Client, pk *packets.Packet) error {
	conn, ok := cl.Net.Conn.(Conn)
	if !ok {
		return fmt.Errorf("%w: a connection that can't be followed", packets.ErrUnspecifiedError)
	}
	if pk.Properties.AuthenticationMethod != "" {
		return packets.ErrBadAuthenticationMethod // [MQTT-4.12.0-1]
	}
	if err := validClientID(cl.ID, h.cfg.MaxClientID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.SignInTimeout)
	defer cancel()
	login, err := h.cfg.SignIn.In(ctx, h.attempt(conn, cl, pk))
	if err != nil {
		return err
	}
	s := newSession(conn, cl, pk, login)
	if err := h.sessions.join(ctx, s); err != nil {
		return err
	}
	conn.Finally(func() { h.leave(s) })
	// From here on every change of the user comes to the session. Those that
	// came before are in what it is judged by now.
	if err := h.admit(ctx, s, pk); err != nil {
		return err
	}
	h.limit(cl)
	cl.Properties.Username = []byte(s.proof.Username)
	cl.Net.Conn = s
	return nil
}

// admit judges what a CONNECT asks for with the rights of the session. It asks
// again whether the sign-in holds: the user may have changed since.
func (h *Hook) admit(ctx context.Context, s *session, pk *packets.Packet) error {
	r := s.rights()
	if !s.proof.Holds(r.principal, h.now()) {
		return registry.Errorf(registry.Unauthenticated, "", "changed while signing in")
	}
	if alive, err := h.tokenAlive(ctx, s); err != nil || !alive {
		if err == nil {
			err = registry.Errorf(registry.Unauthenticated, "", "token deleted while signing in")
		}
		return err
	}
	if !r.policy.MayUseClientID(s.id) {
		return fmt.Errorf("%w: not in the user's list", packets.ErrClientIdentifierNotValid)
	}
	if pk.Connect.WillFlag {
		w := newWill(pk, s.expiry(h.maxStay))
		if !w.allowed(r) {
			return fmt.Errorf("%w: the will's topic", packets.ErrNotAuthorized)
		}
		s.will = w
		// Mochi keeps only the flag: it tells us when the will is due, and
		// what is sent then comes from the session.
		s.client.Properties.Will = mqtt.Will{Flag: 1}
	}
	return nil
}

// tokenAlive reports whether the token that the session rests on, if it does, is
// still registered.
func (h *Hook) tokenAlive(ctx context.Context, s *session) (bool, error) {
	if s.proof.Token == "" {
		return true, nil
	}
	return h.cfg.TokenAlive(ctx, s.proof.Token)
}

// attempt returns what a CONNECT brings to sign in.
func (h *Hook) attempt(conn Conn, cl *mqtt.Client, pk *packets.Packet) registry.Attempt {
	return registry.Attempt{
		Username:        string(pk.Connect.Username),
		Password:        string(pk.Connect.Password),
		HasPassword:     pk.Connect.PasswordFlag,
		Certificate:     h.certificate(conn),
		TokenAsPassword: true,
		ClientID:        cl.ID,
		Remote:          address(conn.RemoteAddr()),
	}
}

// certificate returns what the client's certificate is worth, nil if it has
// shown none.
func (h *Hook) certificate(conn Conn) *registry.Certificate {
	chain := conn.PeerCertificates()
	if len(chain) == 0 || h.cfg.Certificate == nil {
		return nil
	}
	return h.cfg.Certificate(chain)
}

// address returns the IP address of a, invalid if it has none.
func address(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// limit bounds what the client asked for, around defects of mochi v2.7.9.
func (h *Hook) limit(cl *mqtt.Client) {
	// Half as much again must fit into 16 bits, or the deadline is a random one.
	const longest = math.MaxUint16 * 2 / 3
	most := uint16(min(h.cfg.MaxKeepAlive/time.Second, longest)) // #nosec G115 -- at most longest
	switch ka := cl.State.Keepalive; {
	case cl.Properties.ProtocolVersion < 5:
		cl.State.Keepalive = min(ka, longest) // there is no way to tell the client of less
	case ka == 0, ka > most:
		cl.State.Keepalive = most
		cl.State.ServerKeepalive = true // announced [MQTT-3.1.2-21]
		h.counts.keepAlives.Add(1)
	}
	if time.Duration(cl.Properties.Props.SessionExpiryInterval)*time.Second > h.maxStay {
		h.counts.expiries.Add(1) // mochi announces what it is instead (section 3.2.2.3.2)
	}
	// With a Receive Maximum of the client, NextImmediate deadlocks with its
	// own lock, and messages get stuck for good.
	cl.Properties.Props.ReceiveMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
	// A message that waits would have lost its topic, which we judge by.
	cl.Properties.Props.TopicAliasMaximum = 0
}
