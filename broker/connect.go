package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// connect decides about a CONNECT, and makes a session of it.
func (b *Broker) connect(g *guard, pk *packets.Packet) error {
	if err := b.acceptable(g, pk); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.SignInTimeout)
	defer cancel()
	login, err := b.hook.Connect(ctx, g.client, *pk)
	if err != nil {
		return err
	}
	s := newSession(g, login, pk.Connect.Clean)
	s.since = b.cfg.Now()
	if err := b.sessions.claim(ctx, s); err != nil {
		return err
	}
	g.session = s // leave takes it out again, whatever comes
	// From here on every change of the user comes to the session. Those that
	// came before are in what it is judged by now; so that is asked once more.
	if err := login.Check(ctx, false); err != nil {
		return err
	}
	if err := b.takeWill(s, pk); err != nil {
		return err
	}
	b.adjust(g)
	g.client.Properties.Username = []byte(login.Username())
	g.admitted = true
	return nil
}

// acceptable says why nobody may connect like that, before a password is hashed.
func (b *Broker) acceptable(g *guard, pk *packets.Packet) error {
	if will := pk.Connect.WillTopic; pk.Connect.WillFlag && b.cfg.nameTooLarge(len(will), strings.Count(will, "/")) {
		b.count.topicsRefused.Add(1)
		return fmt.Errorf("%w: of the will", packets.ErrTopicNameInvalid)
	}
	if !g.countSignIn() {
		return fmt.Errorf("%w: connections of the address", packets.ErrQuotaExceeded)
	}
	if pk.Properties.AuthenticationMethod != "" {
		return packets.ErrBadAuthenticationMethod // [MQTT-4.12.0-1]
	}
	return validClientID(g.client.ID, b.cfg.MaxClientID)
}

// validClientID reports why nobody may connect with a client ID of more than
// longest bytes, with control characters, or with one that is reserved: mochi's own
// inline client, and all that begin with $. Slashes and wildcards are allowed, and
// base64 brings them by chance; a policy has ${clientid} stand for no such ID.
func validClientID(id string, longest int) error {
	switch {
	case len(id) > longest:
		return packets.ErrClientIdentifierTooLong
	case !utf8.ValidString(id), strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("%w: holds what it must not", packets.ErrClientIdentifierNotValid)
	case id == mqtt.InlineClientId, strings.HasPrefix(id, "$"):
		return fmt.Errorf("%w: reserved", packets.ErrClientIdentifierNotValid)
	default:
		return nil
	}
}

// adjust changes what a client has asked for in CONNECT, where that is above a
// limit or meets a defect of mochi v2.7.9.
func (b *Broker) adjust(g *guard) {
	cl := g.client
	// Half as much again must fit into 16 bits, or the deadline is a random one.
	const longest = math.MaxUint16 * 2 / 3
	most := uint16(min(b.cfg.MaxKeepAlive/time.Second, longest)) // #nosec G115 -- at most longest
	switch ka := cl.State.Keepalive; {
	case cl.Properties.ProtocolVersion < 5:
		cl.State.Keepalive = min(ka, longest) // there is no way to tell the client of less
	case ka == 0, ka > most:
		cl.State.Keepalive = most
		cl.State.ServerKeepalive = true // announced [MQTT-3.1.2-21]
		b.count.keepAlivesSet.Add(1)
	}
	if time.Duration(cl.Properties.Props.SessionExpiryInterval)*time.Second > b.cfg.MaxSessionExpiry {
		b.count.expiriesLowered.Add(1) // mochi announces what it is instead (section 3.2.2.3.2)
	}
	// The guard keeps to the Receive Maximum of both sides. Mochi counts some
	// messages against the wrong side, loses others, and deadlocks with its own
	// lock (Inflight.NextImmediate) over what the client takes.
	cl.Properties.Props.ReceiveMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
	cl.State.Inflight.ResetReceiveQuota(math.MaxInt32)
	// A message that waits would have lost its topic, which it is judged by.
	cl.Properties.Props.TopicAliasMaximum = 0
	// Mochi forgets what it has gathered to write when the last of it is too large.
	g.largest = int(cl.Properties.Props.MaximumPacketSize)
	cl.Properties.Props.MaximumPacketSize = 0
	// Mochi would leave the user properties out of messages, too ([MQTT-3.3.2-17]).
	// Its answers have none, and no reason strings, when they leave the guard.
	cl.Properties.Props.RequestProblemInfoFlag = false
}

// refuse answers a CONNECT that err refuses, and returns the code of MQTT 5, with
// which mochi closes the connection.
func (b *Broker) refuse(cl *mqtt.Client, pk *packets.Packet, err error) error {
	code := codeOf(err)
	b.count.refused(code.Code, err)
	b.reportConnect(guardOf(cl), pk, code.Code, err)
	answer := code
	if cl.Properties.ProtocolVersion < 5 {
		answer = packets.Code{Code: frame.ReturnCode(code.Code)}
	}
	_ = cl.Net.Conn.SetWriteDeadline(time.Now().Add(b.cfg.FinalTimeout))
	_ = b.srv.SendConnack(cl, answer, false, nil)
	return code
}

// refused counts a CONNECT that was refused, for its code and for a limit if it
// was for one.
func (c *counters) refused(code byte, err error) {
	c.connectsRefused[code].Add(1)
	switch {
	case errors.Is(err, packets.ErrClientIdentifierTooLong):
		c.clientIDsTooLong.Add(1)
	case errors.Is(err, errConnected):
		c.userConnectionsRefused.Add(1)
	case errors.Is(err, errStored):
		c.storedSessionsRefused.Add(1)
	}
}
