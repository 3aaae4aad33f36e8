package main

import (
	"time"

	"mqttwarden/registry/acl"
)

// limitFlags bound what one client, user or address may ask of the broker. What
// each is answered with is in deploy/docs/operations.md.
type limitFlags struct {
	Connections           string `default:"10000" help:"MQTT connections at once."`
	ConnectionsPerAddress string `default:"0" help:"MQTT clients of one address signed in at once; 0: no limit."`
	ConnectionsPerUser    string `default:"100" help:"MQTT clients of one user signed in at once; 0: no limit."`
	HalfOpen              string `default:"1000" help:"MQTT connections at once that have not signed in yet."`
	HalfOpenPerAddress    string `default:"100" help:"The same, of one address (IPv6: of one /64)."`
	ConnectTimeout        string `default:"5s" help:"From accept to a whole CONNECT, PROXY header and handshakes included; a duration."`
	WriteTimeout          string `default:"10s" help:"One write to a client that does not read; a duration."`
	KeepAlive             string `default:"1h" help:"Longest keep alive of an MQTT 5 client, also in place of none; a duration in whole seconds."`
	ClientID              string `name:"client-id" default:"256" help:"Longest client ID, in bytes."`
	Packet                string `default:"262144" help:"Largest MQTT packet from a client, in bytes."`
	ConnectPacket         string `default:"8192" help:"Largest MQTT packet from a client that is not signed in, in bytes."`
	PublishRate           string `default:"10000" help:"Messages a second that one client may publish in the long run; 0: no limit."`
	PublishBurst          string `default:"20000" help:"Messages that one client may publish at once."`
	ReceiveMaximum        string `default:"256" help:"QoS 1 and 2 messages of one client that are not acknowledged."`
	TopicLength           string `default:"512" help:"Longest topic or filter, in bytes."`
	TopicLevels           string `default:"32" help:"Levels of the deepest topic or filter."`
	Subscriptions         string `default:"1000" help:"Subscriptions of one client."`
	SessionExpiry         string `default:"24h" help:"Longest life of a session without a connection; a duration in whole seconds."`
	StoredSessions        string `default:"10" help:"Sessions of one user that outlive their connection."`
	Retained              string `default:"100000" help:"Retained messages."`
	RetainedBytes         string `default:"268435456" help:"Topics, payloads and properties of the retained messages, in bytes."`
	Pending               string `default:"256" help:"Messages waiting to be written to one client."`
	Inflight              string `default:"512" help:"QoS 1 and 2 messages to one client, unacknowledged or waiting for it."`
}

// limits is what limitFlags mean.
type limits struct {
	connections, connectionsPerAddress int
	connectionsPerUser                 int
	halfOpen, halfOpenPerAddress       int
	connectTimeout, writeTimeout       time.Duration
	keepAlive                          time.Duration
	clientID                           int
	packet, connectPacket              uint32
	publishRate, publishBurst          int
	receiveMaximum                     uint16
	topicLength, topicLevels           int
	subscriptions                      int
	sessionExpiry                      time.Duration
	storedSessions                     int
	retained                           int
	retainedBytes                      int64
	pending                            int32
	inflight                           uint16
}

func (f *limitFlags) parse(p *parser) limits {
	const day = 24 * time.Hour
	return limits{
		connections:           number[int](p, "limits-connections", f.Connections, 1, 10_000_000),
		connectionsPerAddress: number[int](p, "limits-connections-per-address", f.ConnectionsPerAddress, 0, 10_000_000),
		connectionsPerUser:    number[int](p, "limits-connections-per-user", f.ConnectionsPerUser, 0, 10_000_000),
		halfOpen:              number[int](p, "limits-half-open", f.HalfOpen, 1, 10_000_000),
		halfOpenPerAddress:    number[int](p, "limits-half-open-per-address", f.HalfOpenPerAddress, 1, 10_000_000),
		connectTimeout:        p.duration("limits-connect-timeout", f.ConnectTimeout, 100*time.Millisecond, time.Minute),
		writeTimeout:          p.duration("limits-write-timeout", f.WriteTimeout, 100*time.Millisecond, time.Minute),
		// Half as much again, which is when a silent client is cut, must fit into
		// the 16 bits that mochi counts seconds with.
		keepAlive: p.seconds("limits-keep-alive", f.KeepAlive, 5*time.Second, 12*time.Hour),
		// Every server must take 23 bytes ([MQTT-3.1.3-5]).
		clientID:       number[int](p, "limits-client-id", f.ClientID, 23, 4096),
		packet:         number[uint32](p, "limits-packet", f.Packet, 1024, 256<<20),
		connectPacket:  number[uint32](p, "limits-connect-packet", f.ConnectPacket, 256, 1<<20),
		publishRate:    number[int](p, "limits-publish-rate", f.PublishRate, 0, 10_000_000),
		publishBurst:   number[int](p, "limits-publish-burst", f.PublishBurst, 1, 100_000_000),
		receiveMaximum: number[uint16](p, "limits-receive-maximum", f.ReceiveMaximum, 1, 8192),
		// Rights are judged without allocating, in room for names of this size: a
		// topic that is larger covers no permission, whoever asks. So more is of
		// no use, and what is told here is what holds.
		topicLength:    number[int](p, "limits-topic-length", f.TopicLength, 1, acl.MaxNameLength),
		topicLevels:    number[int](p, "limits-topic-levels", f.TopicLevels, 1, acl.MaxLevels),
		subscriptions:  number[int](p, "limits-subscriptions", f.Subscriptions, 1, 1_000_000),
		sessionExpiry:  p.seconds("limits-session-expiry", f.SessionExpiry, time.Second, 30*day),
		storedSessions: number[int](p, "limits-stored-sessions", f.StoredSessions, 1, 100_000),
		retained:       number[int](p, "limits-retained", f.Retained, 1, 10_000_000),
		retainedBytes:  number[int64](p, "limits-retained-bytes", f.RetainedBytes, 1<<10, 1<<40),
		pending:        number[int32](p, "limits-pending", f.Pending, 16, 65536),
		inflight:       number[uint16](p, "limits-inflight", f.Inflight, 16, 16_384),
	}
}
