package frame

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// peers are a client and a broker that obey the standard, with an Exchange
// between them and a queue for each direction.
type peers struct {
	e        *Exchange
	toServer []Ack // PUBLISH stands as TypePublish with the QoS as code
	toClient []Ack
	held     []Ack
	sent     [2]map[uint16]bool // open messages, by direction: 0 from the client
	unacked  int                // what the client has received and not answered finally
}

func (p *peers) header(a Ack) (Header, []byte) {
	if a.Type == TypePublish {
		return Header{Type: a.Type, Flags: a.Code << 1, Remaining: 6}, append(append(s("t"), id(a.PacketID)...), 0)
	}
	body := id(a.PacketID)
	if a.Code != 0 {
		body = append(body, a.Code)
	}
	return Header{Type: a.Type, Flags: a.Type.flags(), Remaining: len(body)}, body
}

// TestExchangeLetsConformingPeersTalk is the law behind the tables: between
// peers that obey the standard every packet passes, unless it has to wait for
// the client's Receive Maximum, which is never exceeded, or is about one of two
// messages that share an identifier; and when all is said, nothing is
// remembered.
func TestExchangeLetsConformingPeersTalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clientMax := rapid.Uint16Range(1, 5).Draw(t, "client receive maximum")
		serverMax := rapid.Uint16Range(1, 5).Draw(t, "server receive maximum")
		p := &peers{e: NewExchange(Level5, clientMax, serverMax), sent: [2]map[uint16]bool{{}, {}}}
		t.Repeat(map[string]func(*rapid.T){
			"client publishes": func(t *rapid.T) {
				a := p.publish(t, 0)
				if len(p.sent[0]) > int(serverMax) {
					delete(p.sent[0], a.PacketID)
					t.Skip("not allowed")
				}
				p.fromClient(t, a)
			},
			"broker publishes": func(t *rapid.T) {
				p.held = append(p.held, p.publish(t, 1))
				p.flush(t)
			},
			"broker reads": func(t *rapid.T) { p.serverReads(t) },
			"client reads": func(t *rapid.T) { p.clientReads(t) },
			"": func(t *rapid.T) {
				if p.unacked > int(clientMax) {
					t.Fatalf("the client has %d messages outstanding and takes %d", p.unacked, clientMax)
				}
			},
		})
		for len(p.toServer)+len(p.toClient) > 0 {
			p.serverReads(t)
			p.clientReads(t)
		}
		if len(p.sent[0])+len(p.sent[1]) > 0 {
			t.Fatalf("never completed: from the client %v, to it %v", p.sent[0], p.sent[1])
		}
		if len(p.held) > 0 || len(p.e.in.list) > 0 || len(p.e.out.list) > 0 || p.e.in.counted+p.e.out.counted > 0 {
			t.Fatalf("left over: held %v, in %v, out %v", p.held, p.e.in, p.e.out)
		}
	})
}

// publish makes a message with an identifier that is free in its direction.
func (p *peers) publish(t *rapid.T, direction int) Ack {
	free := rapid.Uint16Range(1, 20).Filter(func(id uint16) bool { return !p.sent[direction][id] })
	if len(p.sent[direction]) > 15 {
		t.Skip("enough for now")
	}
	a := Ack{Type: TypePublish, PacketID: free.Draw(t, "identifier"), Code: rapid.ByteRange(1, 2).Draw(t, "QoS")}
	p.sent[direction][a.PacketID] = true
	return a
}

func (p *peers) fromClient(t *rapid.T, a Ack) {
	v := p.e.FromClient(p.header(a))
	both := p.sent[0][a.PacketID] && p.sent[1][a.PacketID]
	switch {
	case v.Action == Pass:
		p.toServer = append(p.toServer, a)
	case both && v.Action == Drop && v.Freed: // the end, which mochi is not told
		delete(p.sent[1], a.PacketID)
	case both && v.Action == Answer && v.Ack.Type == TypePubrel: // or the middle
		p.toClient = append(p.toClient, v.Ack)
	default:
		t.Fatalf("client sends %+v: %v", a, v)
	}
	if v.Freed {
		p.flush(t)
	}
}

func (p *peers) fromServer(t *rapid.T, a Ack) {
	if v := p.e.FromServer(p.header(a)); v.Action != Pass {
		t.Fatalf("broker sends %+v: %v", a, v)
	}
	p.toClient = append(p.toClient, a)
}

// flush sends held messages until one has to wait.
func (p *peers) flush(t *rapid.T) {
	for len(p.held) > 0 {
		a := p.held[0]
		switch v := p.e.FromServer(p.header(a)); v.Action {
		case Pass:
			p.toClient, p.held = append(p.toClient, a), p.held[1:]
			p.unacked++
		case Hold:
			return
		default:
			t.Fatalf("broker sends %+v: %v", a, v)
		}
	}
}

// serverReads lets the broker answer one packet.
func (p *peers) serverReads(t *rapid.T) {
	if len(p.toServer) == 0 {
		return
	}
	a := p.toServer[0]
	p.toServer = p.toServer[1:]
	refuse := rapid.Bool().Draw(t, "broker refuses")
	switch {
	case a.Type == TypePublish && a.Code == 1:
		delete(p.sent[0], a.PacketID)
		p.fromServer(t, Ack{TypePuback, a.PacketID, 0})
	case a.Type == TypePublish && refuse:
		delete(p.sent[0], a.PacketID)
		p.fromServer(t, Ack{TypePubrec, a.PacketID, 0x87})
	case a.Type == TypePublish:
		p.fromServer(t, Ack{TypePubrec, a.PacketID, 0})
	case a.Type == TypePubrel:
		delete(p.sent[0], a.PacketID)
		p.fromServer(t, Ack{TypePubcomp, a.PacketID, 0})
	case a.Type == TypePubrec && a.Code == 0:
		p.fromServer(t, Ack{TypePubrel, a.PacketID, 0})
	default: // PUBACK, PUBCOMP, a PUBREC that refuses: the identifier is free
		delete(p.sent[1], a.PacketID)
	}
}

// clientReads lets the client answer one packet.
func (p *peers) clientReads(t *rapid.T) {
	if len(p.toClient) == 0 {
		return
	}
	a := p.toClient[0]
	p.toClient = p.toClient[1:]
	refuse := rapid.Bool().Draw(t, "client refuses")
	switch {
	case a.Type == TypePublish && a.Code == 1:
		p.unacked--
		p.fromClient(t, Ack{TypePuback, a.PacketID, 0})
	case a.Type == TypePublish && refuse:
		p.unacked--
		p.fromClient(t, Ack{TypePubrec, a.PacketID, 0x83})
	case a.Type == TypePublish:
		p.fromClient(t, Ack{TypePubrec, a.PacketID, 0})
	case a.Type == TypePubrel:
		p.unacked--
		p.fromClient(t, Ack{TypePubcomp, a.PacketID, 0})
	case a.Type == TypePubrec && a.Code == 0:
		p.fromClient(t, Ack{TypePubrel, a.PacketID, 0})
	default:
	}
}

// TestExchangeInBothDirectionsAtOnce is for the race detector.
func TestExchangeInBothDirectionsAtOnce(t *testing.T) {
	e := NewExchange(Level5, 10, 10)
	var wg sync.WaitGroup
	for _, from := range []func(Header, []byte) Verdict{e.FromClient, e.FromServer} {
		wg.Go(func() {
			for n := range uint16(1000) {
				for _, typ := range []Type{TypePublish, TypePuback, TypePubrec, TypePubrel, TypePubcomp} {
					h := Header{Type: typ, Flags: typ.flags()}
					body := id(n%10 + 1)
					if typ == TypePublish {
						h.Flags, body = 0b0100, append(s("t"), body...)
					}
					from(h, body)
				}
			}
		})
	}
	wg.Wait()
}
