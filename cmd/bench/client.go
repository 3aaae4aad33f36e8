package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// stall is how long a broker may leave a client waiting before the run is given
// up: messages were lost, or the broker hangs.
const stall = 20 * time.Second

// readBuffer is how much a client reads at a time, in bytes.
const readBuffer = 4 << 10

// client is an MQTT client that does no more than the load needs. All its
// methods wait; it has no goroutine.
type client struct {
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	version byte
}

// dial connects and signs in.
func dial(ctx context.Context, address string, version byte, clientID string, who credentials) (*client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, readBuffer), version: version}
	if err := c.connect(clientID, who); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("client %s: %w", clientID, err)
	}
	return c, nil
}

func (c *client) connect(clientID string, who credentials) error {
	if err := c.patient(); err != nil {
		return err
	}
	c.out = appendConnect(c.out[:0], c.version, clientID, who)
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	p, err := c.next()
	if err != nil {
		return err
	}
	if p.kind() != typeConnack || len(p.body) < 2 || p.body[1] != 0 {
		return fmt.Errorf("refused: % x", p.body)
	}
	return nil
}

// patient lets the client wait for a stall from now.
func (c *client) patient() error { return c.conn.SetDeadline(time.Now().Add(stall)) }

// close says goodbye and waits until the broker has closed the connection.
func (c *client) close() error {
	defer c.conn.Close()
	if err := c.patient(); err != nil {
		return err
	}
	c.out = appendDisconnect(c.out[:0])
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.in)
	return err
}

// next reads a packet.
func (c *client) next() (packet, error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return packet{}, err
	}
	if n > readBuffer {
		return packet{}, fmt.Errorf("packet %#02x of %d bytes, which nobody sent", first, n)
	}
	body, err := c.in.Peek(int(n)) // #nosec G115 -- at most readBuffer
	if err != nil {
		return packet{}, err
	}
	_, err = c.in.Discard(len(body))
	return packet{first, body}, err
}

// expect reads a packet of that kind.
func (c *client) expect(kind byte) (packet, error) {
	p, err := c.next()
	if err == nil && p.kind() != kind {
		err = fmt.Errorf("got packet %#02x % x, want type %d", p.first, p.body, kind)
	}
	return p, err
}

// subscribe subscribes to one filter and expects it to be granted.
func (c *client) subscribe(filter string, qos byte) error {
	c.out = appendSubscribe(c.out[:0], c.version, 1, filter, qos)
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	p, err := c.expect(typeSuback)
	if err != nil {
		return err
	}
	if granted := p.body[len(p.body)-1]; granted != qos {
		return fmt.Errorf("subscription to %s: got %#02x", filter, granted)
	}
	return nil
}

// receive reads n messages, and acknowledges those that want it.
func (c *client) receive(n int) error {
	c.out = c.out[:0]
	for range n {
		p, err := c.expect(typePublish)
		if err != nil {
			return err
		}
		if p.first>>1&3 > 0 {
			id, _, err := p.message(c.version)
			if err != nil {
				return err
			}
			c.out = appendPuback(c.out, id)
		}
		if c.in.Buffered() == 0 || len(c.out) >= 1<<10 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return c.flush()
}

func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// acknowledged reads n PUBACKs, which must say success or not as allowed says.
func (c *client) acknowledged(n int, allowed bool) error {
	for range n {
		p, err := c.expect(typePuback)
		if err != nil {
			return err
		}
		if _, reason, err := p.acked(); err != nil || (reason < 0x80) != allowed {
			return errors.Join(err, fmt.Errorf("publish answered with %#02x", reason))
		}
	}
	return nil
}
