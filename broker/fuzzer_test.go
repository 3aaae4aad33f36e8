package broker_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/broker/internal/frame"
)

// samples returns one or more of each packet that a client of that version sends,
// with packet identifiers from id on.
func samples(version byte, id uint16) [][]byte {
	user := []packets.UserProperty{{Key: "k", Val: "v"}}
	name := map[byte]string{3: "MQIsdp", 4: "MQTT", 5: "MQTT"}[version]
	connect := connectAs(fmt.Sprint("fuzz", id))
	connect.Connect.ProtocolName = []byte(name)
	connect.Connect.Keepalive = 60
	full := connect
	full.Connect.WillFlag, full.Connect.WillQos, full.Connect.WillTopic, full.Connect.WillPayload = true, 1, "f/will", []byte("gone")
	full.Connect.UsernameFlag, full.Connect.Username = true, []byte("user")
	full.Connect.PasswordFlag, full.Connect.Password = true, []byte("password")
	full.Properties = packets.Properties{ReceiveMaximum: 3, MaximumPacketSize: 1000, TopicAliasMaximum: 5, User: user}
	full.Connect.WillProperties = packets.Properties{ContentType: "text/plain", MessageExpiryInterval: 5, User: user}
	stored := connect
	stored.Connect.Clean = false
	stored.Properties = packets.Properties{SessionExpiryInterval: 60, SessionExpiryIntervalFlag: true}
	rich := message("f/b/c", 1, id+1)
	rich.FixedHeader.Retain = true
	rich.Properties = packets.Properties{
		PayloadFormat: 1, PayloadFormatFlag: true, MessageExpiryInterval: 2, ContentType: "text/plain",
		ResponseTopic: "f/r", CorrelationData: []byte{1, 2, 3}, User: user,
	}
	list := []packets.Packet{
		connect, full, stored,
		message("f/a", 0, 0), rich, message("f/d", 2, id+2),
		ack(packets.Puback, id), ack(packets.Pubrec, id), ack(packets.Pubrel, id+2), ack(packets.Pubcomp, id),
		{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: id + 3, Properties: packets.Properties{User: user},
			Filters: packets.Subscriptions{{Filter: "f/#", Qos: 2, RetainHandling: 1}, {Filter: "$share/g/f/+/c", Qos: 1}, {Filter: "+/b/#", NoLocal: true}},
		},
		{
			FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1}, PacketID: id + 4,
			Filters: packets.Subscriptions{{Filter: "f/#"}, {Filter: "$share/g/f/+/c"}},
		},
		{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}},
		{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: 4},
	}
	if version == 5 {
		list = append(list, packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Auth}, ReasonCode: 0x18,
			Properties: packets.Properties{AuthenticationMethod: "SCRAM-SHA-256", AuthenticationData: []byte("data")},
		})
	}
	encoded := make([][]byte, 0, len(list))
	for _, pk := range list {
		encoded = append(encoded, encode(version, pk))
	}
	return encoded
}

// mutate returns b with one thing or a few about it changed. b stays as it is.
func mutate(r *rand.Rand, b, other []byte) []byte {
	b = slices.Clone(b)
	for range 1 + r.IntN(3) {
		if len(b) < 2 {
			return b
		}
		switch at := r.IntN(len(b)); r.IntN(7) {
		case 0: // a bit
			b[at] ^= 1 << r.IntN(8)
		case 1: // a byte, often one that is a boundary somewhere
			b[at] = []byte{0, 1, 2, 0x7F, 0x80, 0xFF, byte(r.Uint32())}[r.IntN(7)]
		case 2: // its end
			b = b[:at]
		case 3: // the start of one and the end of another
			b = append(b[:at], other[r.IntN(len(other)):]...)
		case 4: // the length
			b[1] = byte(r.Uint32())
		case 5: // one that is right again, for what is left
			if size := len(b) - 2; size < 128 {
				b[1] = byte(size)
			}
		default: // some bytes more
			b = slices.Insert(b, at, b[at:min(len(b), at+1+r.IntN(8))]...)
		}
	}
	return b
}

// fuzz opens one connection, sends packets of which some are not, and closes it in
// one of several ways.
func fuzz(r *rand.Rand, addr string, n int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	heard := make(chan error, 1)
	go func() { heard <- listen(conn) }()
	defer func() { _ = conn.Close(); <-heard }()
	version := byte(3 + r.IntN(3))
	good := samples(version, uint16(1+r.IntN(100)))
	var sent []byte
	if r.IntN(8) > 0 {
		sent = append(sent, good[r.IntN(3)]...)
	}
	wrong := []int{1 << 30, 20, 5, 2}[r.IntN(4)] // one in so many packets
	for range 1 + r.IntN(20) {
		pk := good[[]int{3, 4, 5, 8, 10, 11, 12}[r.IntN(7)]]
		if r.IntN(wrong) == 0 { // or one that has no place here
			pk = good[r.IntN(len(good))]
		}
		if r.IntN(wrong) == 0 {
			pk = mutate(r, pk, good[r.IntN(len(good))])
		}
		sent = append(sent, pk...)
	}
	for len(sent) > 0 {
		size := min(len(sent), 1+r.IntN(200))
		if _, err := conn.Write(sent[:size]); err != nil {
			break // the broker has had enough
		}
		sent = sent[size:]
	}
	switch n % 3 {
	case 0:
		_ = conn.(*net.TCPConn).SetLinger(0) // RST
	case 1:
		_ = conn.(*net.TCPConn).CloseWrite()
		select {
		case err := <-heard:
			heard <- nil
			return err
		case <-time.After(patience):
			return fmt.Errorf("still open after FIN")
		}
	}
	return nil
}

// listen reads until the end and returns an error if something comes that is not
// a packet of a server.
func listen(conn net.Conn) error {
	var buf []byte
	p := make([]byte, 4096)
	for {
		n, err := conn.Read(p)
		buf = append(buf, p[:n]...)
		for {
			h, size, parse := frame.ParseHeader(buf)
			if parse != nil || len(buf) < size+h.Remaining {
				break
			}
			switch h.Type {
			case frame.TypeConnect, frame.TypeSubscribe, frame.TypeUnsubscribe, frame.TypePingreq:
				return fmt.Errorf("the broker sends a %s", h.Type)
			default:
			}
			buf = buf[size+h.Remaining:]
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(buf) > 0 {
				return fmt.Errorf("half a packet at the end: % x", buf)
			}
			return nil
		}
	}
}

// Whatever clients send, others are served, nothing panics, and nothing is left.
func TestRandomPackets(t *testing.T) {
	const seed, workers = 20_261_123, 8
	connections := 800 // of each worker
	if testing.Short() {
		connections = 40
	}
	t.Logf("seed %d", seed)
	b := start(t, new(open), nil)
	storm := func(from, to int) {
		var wg sync.WaitGroup
		for worker := range workers {
			wg.Go(func() {
				for i := from; i < to; i++ {
					r := rand.New(rand.NewPCG(seed, uint64(worker*1_000_000+i)))
					if err := fuzz(r, b.Addr("mqtt").String(), i); err != nil {
						t.Errorf("worker %d, connection %d: %v", worker, i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all connections are over", func() bool { return b.Stats().Connections <= 1 })
	}
	storm(0, connections/4) // so that sessions and retained messages are there
	before := takeFootprint(b)
	w := watch(t, dial(t, b, 5))
	storm(connections/4, connections)
	w.testify(patience / 2)
	before.returns(t, 8<<20)
	if st := b.Stats(); len(st.PacketsRefused) == 0 || st.MessagesReceived < int64(connections) {
		t.Errorf("this was no test: %d messages, refused %v", st.MessagesReceived, st.PacketsRefused)
	} else {
		t.Logf("%d messages, refused %v", st.MessagesReceived, st.PacketsRefused)
	}
}
