package program

import (
	"time"

	"mqttwarden/cmd/mqttwarden/internal/settings"
	"mqttwarden/registry/acl"
)

// limits bound what one client, user or address may ask of the broker.
type limits struct {
	connections, connectionsPerAddress int
	connectionsPerUser                 int
	halfOpen, halfOpenPerAddress       int
	httpConnections                    int
	connectTimeout, writeTimeout       time.Duration
	keepAlive                          time.Duration
	clientID                           int
	packet, connectPacket              uint32
	publishRate, publishBurst          int
	requestRate, requestBurst          int
	receiveMaximum                     uint16
	topicLength, topicLevels           int
	subscriptions, patterns            int
	work                               time.Duration
	topicAliases                       uint16
	sessionExpiry                      time.Duration
	storedSessions                     int
	retained                           int
	retainedBytes                      int64
	retainedPerUser                    int
	retainedBytesPerUser               int64
	sessionBytes, waitingBytes         int64
	pending                            int32
	inflight                           uint16
}

// section declares each limit with what a client is told that reaches it, and with
// the metric that counts it.
func (l *limits) section() settings.Section {
	const day = 24 * time.Hour
	return settings.Section{
		Name: "limits", Title: "Limits",
		Text:    "The names of the metrics begin with `mqttwarden_`; `_total` is left out.",
		Columns: []string{"what the client is told: MQTT 5, MQTT 3.1.1", "metric"},
		Settings: []settings.Setting{
			{
				Name: "connections", Value: settings.Number(&l.connections, 1, 10_000_000), Default: "10000",
				Help: "MQTT connections at once.", Cells: []string{"closed", "`mqtt_connections_refused`"},
			},
			{
				Name: "connections-per-address", Value: settings.Number(&l.connectionsPerAddress, 0, 10_000_000), Default: "0",
				Help: "MQTT clients of one address signed in at once; 0: no limit.", Cells: []string{"CONNACK 0x97, 3", "`mqtt_address_refused`"},
			},
			{
				Name: "connections-per-user", Value: settings.Number(&l.connectionsPerUser, 0, 10_000_000), Default: "100",
				Help: "MQTT clients of one user signed in at once; 0: no limit.", Cells: []string{"CONNACK 0x97, 3", "`user_connections_refused`"},
			},
			{
				Name: "http-connections", Value: settings.Number(&l.httpConnections, 4, 10_000_000), Default: "1000",
				Help: "HTTP connections at once. An address never has more than it leaves free.", Cells: []string{"the one is closed that is idle longest", "`http_connections_closed`"},
			},
			{
				Name: "half-open", Value: settings.Number(&l.halfOpen, 1, 10_000_000), Default: "1000",
				Help: "MQTT connections at once that have not signed in yet.", Cells: []string{"the one is closed that is waited for longest", "`mqtt_half_open_refused`"},
			},
			{
				Name: "half-open-per-address", Value: settings.Number(&l.halfOpenPerAddress, 1, 10_000_000), Default: "100",
				Help: "The same, of one address (IPv6: of one /64), which also never has more than it leaves free.", Cells: []string{"the same, of that address", "`mqtt_address_half_open_refused`"},
			},
			{
				Name: "connect-timeout", Value: settings.Duration(&l.connectTimeout, 100*time.Millisecond, time.Minute), Default: "5s",
				Help: "From accept to a whole CONNECT, PROXY header and handshakes included.", Cells: []string{"closed", "`mqtt_connect_timeouts`"},
			},
			{
				Name: "write-timeout", Value: settings.Duration(&l.writeTimeout, 100*time.Millisecond, time.Minute), Default: "10s",
				Help: "One write to a client that does not read.", Cells: []string{"closed", "`mqtt_write_timeouts`"},
			},
			{
				// Half as much again, which is when a silent client is cut, must fit into
				// the 16 bits that mochi counts seconds with.
				Name: "keep-alive", Value: settings.Seconds(&l.keepAlive, 5*time.Second, 12*time.Hour), Default: "1h",
				Help: "Longest keep alive of an MQTT 5 client, also in place of none.", Cells: []string{"Server Keep Alive in CONNACK; no limit", "`keep_alives_set`"},
			},
			{
				// Every server must take 23 bytes ([MQTT-3.1.3-5]).
				Name: "client-id", Value: settings.Number(&l.clientID, 23, 4096), Default: "256", Unit: "bytes",
				Help: "Longest client ID.", Cells: []string{"CONNACK 0x85, 2", "`client_ids_refused`"},
			},
			{
				Name: "packet", Value: settings.Number(&l.packet, 1024, 256<<20), Default: "262144", Unit: "bytes",
				Help: "Largest MQTT packet from a client.", Cells: []string{"CONNACK announces it; DISCONNECT 0x95, closed", "`mqtt_packets_refused{code=\"0x95\"}`"},
			},
			{
				Name: "connect-packet", Value: settings.Number(&l.connectPacket, 256, 1<<20), Default: "8192", Unit: "bytes",
				Help: "Largest MQTT packet from a client that is not signed in.", Cells: []string{"closed", "`mqtt_packets_refused{code=\"0x95\"}`"},
			},
			{
				Name: "publish-rate", Value: settings.Number(&l.publishRate, 0, 10_000_000), Default: "10000", Unit: "messages a second",
				Help: "Messages that one client may publish in the long run; 0: no limit.", Cells: []string{"DISCONNECT 0x96, closed", "`mqtt_rates_exceeded`"},
			},
			{
				Name: "publish-burst", Value: settings.Number(&l.publishBurst, 1, 100_000_000), Default: "20000",
				Help: "Messages that one client may publish at once.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "request-rate", Value: settings.Number(&l.requestRate, 0, 10_000_000), Default: "100", Unit: "packets a second",
				Help: "PINGREQ, SUBSCRIBE, UNSUBSCRIBE and WebSocket pings that one client may send in the long run; 0: no limit.", Cells: []string{"DISCONNECT 0x96, closed", "`mqtt_rates_exceeded`"},
			},
			{
				Name: "request-burst", Value: settings.Number(&l.requestBurst, 1, 100_000_000), Default: "2000",
				Help: "Those that one client may send at once.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "receive-maximum", Value: settings.Number(&l.receiveMaximum, 1, 8192), Default: "256",
				Help: "QoS 1 and 2 messages of one client that are not acknowledged.", Cells: []string{"CONNACK announces it; DISCONNECT 0x93, closed", "`mqtt_packets_refused{code=\"0x93\"}`"},
			},
			{
				// Rights are judged without allocating, in room for names of this size: a
				// topic that is larger covers no permission, whoever asks. So more is of
				// no use, and what is told here is what holds.
				Name: "topic-length", Value: settings.Number(&l.topicLength, 1, acl.MaxNameLength), Default: "512", Unit: "bytes",
				Help: "Longest topic or filter.", Cells: []string{"publish: 0x90 (QoS 1 and 2), dropped; filter: SUBACK 0x8F, 0x80; will: CONNACK 0x90, 5", "`mqtt_topics_refused`, `mqtt_filters_refused`"},
			},
			{
				Name: "topic-levels", Value: settings.Number(&l.topicLevels, 1, acl.MaxLevels), Default: "32",
				Help: "Levels of the deepest topic or filter.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "topic-aliases", Value: settings.Number(&l.topicAliases, 0, 1024), Default: "32",
				Help: "Topic aliases of one MQTT 5 client, and towards one that takes some; 0: none.", Cells: []string{"CONNACK announces it; DISCONNECT 0x94, closed", "`mqtt_packets_refused{code=\"0x94\"}`"},
			},
			{
				Name: "subscriptions", Value: settings.Number(&l.subscriptions, 1, 1_000_000), Default: "1000",
				Help: "Subscriptions of one client.", Cells: []string{"SUBACK 0x97, 0x80 for each filter beyond", "`mqtt_subscriptions_refused`"},
			},
			{
				Name: "patterns", Value: settings.Number(&l.patterns, 1, 100_000), Default: "64",
				Help: "Ways in which the filters of one user may have their wildcards (a/+ and b/+ are one, +/a is another), and groups of shared subscriptions.", Cells: []string{"the same", "`mqtt_patterns_refused`"},
			},
			{
				Name: "work", Value: settings.Duration(&l.work, 0, time.Second), Default: "100ms",
				Help: "Time in each second that the broker spends on the packets of one user in the long run, finding the subscribers of its messages included, writing to them not; 0s: no limit.", Cells: []string{"nothing; its packets wait to be read", "`mqtt_work_paced`"},
			},
			{
				Name: "session-expiry", Value: settings.Seconds(&l.sessionExpiry, time.Second, 30*day), Default: "24h",
				Help: "Longest life of a session without a connection.", Cells: []string{"Session Expiry Interval in CONNACK; nothing", "`session_expiries_lowered`"},
			},
			{
				Name: "stored-sessions", Value: settings.Number(&l.storedSessions, 1, 100_000), Default: "10",
				Help: "Sessions of one user that outlive their connection.", Cells: []string{"CONNACK 0x97, 3", "`stored_sessions_refused`"},
			},
			{
				Name: "retained", Value: settings.Number(&l.retained, 1, 10_000_000), Default: "100000",
				Help: "Retained messages.", Cells: []string{"PUBACK, PUBREC 0x97 (QoS 0: dropped); acknowledged and dropped", "`mqtt_retained_refused`"},
			},
			{
				Name: "retained-bytes", Value: settings.Number(&l.retainedBytes, 1<<10, 1<<40), Default: "268435456", Unit: "bytes",
				Help: "Topics, payloads and properties of the retained messages.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "retained-per-user", Value: settings.Number(&l.retainedPerUser, 0, 10_000_000), Default: "50000",
				Help: "Retained messages of one user, which also never has more than it leaves free; 0: no limit for one user.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "retained-bytes-per-user", Value: settings.Number(&l.retainedBytesPerUser, 0, 1<<40), Default: "134217728", Unit: "bytes",
				Help: "Topics, payloads and properties of them; the same holds.", Cells: []string{"the same", "the same"},
			},
			{
				Name: "pending", Value: settings.Number(&l.pending, 16, 65536), Default: "256",
				Help: "Messages waiting to be written to one client.", Cells: []string{"nothing; further ones are dropped", "`mqtt_messages_dropped`"},
			},
			{
				Name: "inflight", Value: settings.Number(&l.inflight, 16, 16_384), Default: "512",
				Help: "QoS 1 and 2 messages to one client, unacknowledged or waiting for it.", Cells: []string{"nothing; further ones are dropped", "`mqtt_messages_dropped`"},
			},
			{
				Name: "session-bytes", Value: settings.Number(&l.sessionBytes, 1<<10, 1<<40), Default: "16777216", Unit: "bytes",
				Help: "What those messages of one client take.", Cells: []string{"the same", "`mqtt_waiting_refused`"},
			},
			{
				Name: "waiting-bytes", Value: settings.Number(&l.waitingBytes, 1<<10, 1<<40), Default: "268435456", Unit: "bytes",
				Help: "What those messages of all clients take. The clients of one user never have more than they leave free.", Cells: []string{"the same", "the same"},
			},
		},
	}
}
