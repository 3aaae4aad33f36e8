package broker

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Config says how the broker runs. The zero value of every field but Listeners
// is its default.
type Config struct {
	Listeners []Listener
	// TrustedProxies are the networks whose word about the address of a client
	// is taken: the PROXY header, and X-Forwarded-For before a WebSocket.
	TrustedProxies []netip.Prefix

	ConnectTimeout time.Duration // from accept to a whole CONNECT, PROXY header and all handshakes included; 5 s
	WriteTimeout   time.Duration // for one write to a client, which is cut when it takes longer; 10 s
	FinalTimeout   time.Duration // for the last packet to a client that is being cut; 200 ms
	MaxConnections int           // at a time, signed in or not; 50,000

	// Half-open is a connection from accept to the CONNACK that lets its client
	// in. With one too many, the oldest is closed of those whose CONNECT has not come
	// yet. An address also never has more than it leaves free in all.
	MaxHalfOpen           int // in all; 1,000
	MaxHalfOpenPerAddress int // of one IPv4 address, or the first 64 bits of an IPv6 address; 100
	// MaxConnectionsPerAddress is how many clients of one such address may be
	// signed in. There is no limit by default: a whole plant may come from one
	// address, that of its router.
	MaxConnectionsPerAddress int

	MaxPacketSize    uint32 // largest packet a client may send, in bytes; 256 KiB
	MaxConnectPacket uint32 // the same before it has signed in; 8 KiB
	MaxQueued        int32  // messages that wait for the socket of one client; 512
	MaxInflight      uint16 // messages of QoS 1 and 2 that wait for one client, connected or not; 1,024
	// The bytes of those that wait for one client, and in all. What waits for the
	// clients of one user may be no more than it leaves free; 16 MiB, 256 MiB.
	MaxSessionBytes  int64
	MaxWaitingBytes  int64
	ReceiveMaximum   uint16        // messages of QoS 1 and 2 that a client may have under way; 256
	MaxSessionExpiry time.Duration // how long a session outlives its connection, in whole seconds; 24 h
	MaxTopicLength   int           // of a topic or filter, in bytes; 512
	MaxTopicLevels   int           // of a topic or filter; 32
	MaxRetained      int           // retained messages, those of the broker itself aside; 100,000
	MaxRetainedBytes int64         // of them: topics, payloads and properties; 256 MiB
	// The same of one user, which may have no more than it leaves free in all, either;
	// 0: no limit for one user.
	MaxUserRetained      int
	MaxUserRetainedBytes int64
	MaxSubscriptions     int    // of one client; 1,000
	TopicAliases         uint16 // that MQTT 5 clients may use, and that are used towards each that takes some; none
	// MaxPatterns is in how many ways the filters of one user may have their
	// wildcards; the groups of shared subscriptions count, too. It bounds what a
	// user's subscriptions cost a publish of anybody; 64.
	MaxPatterns int
	// MaxWork is the time in a second that the broker spends on the packets of one
	// user in the long run, finding the subscribers included, writing to them not.
	// Who uses up more waits before the next packet is read; 0: no limit.
	MaxWork      time.Duration
	PublishRate  int           // messages a second that one client may publish in the long run; 0: no limit
	PublishBurst int           // messages that it may publish at once; twice the rate
	RequestRate  int           // PINGREQ, SUBSCRIBE, UNSUBSCRIBE and pings of WebSocket a second that one client may send in the long run; 0: no limit
	RequestBurst int           // of these that it may send at once; twice the rate
	ReadBuffer   int           // of each connection, in bytes; 2 KiB
	SysInterval  time.Duration // between updates of the $SYS topics, in whole seconds; 30 s

	// What one user may have, and how long the hook and others are waited for.
	MaxClientID        int           // bytes; 256
	MaxUserConnections int           // at a time; 0: no limit
	MaxStoredSessions  int           // that outlive their connection; 10
	MaxKeepAlive       time.Duration // for MQTT 5, in whole seconds, also in place of none; 1 h
	SignInTimeout      time.Duration // for everything that a CONNECT waits for; 5 s
	TakeoverTimeout    time.Duration // how long a CONNECT waits for another with its client ID, before it cuts that; 1 s
	EnforceTimeout     time.Duration // how long Rejudge waits for connections to end; 500 ms
	// CloseDenied closes the connection of an MQTT 3 client that publishes where
	// it may not, as VerneMQ does. Otherwise the message is acknowledged and
	// dropped ([MQTT-3.3.5-2] allows both); MQTT 5 is told in any case.
	CloseDenied bool

	Sessions Sessions

	Now           func() time.Time // by which sessions and wills end; time.Now
	SweepInterval time.Duration    // between looks at what has ended; 1 s
}

// Sessions says how sessions and retained messages survive a restart.
type Sessions struct {
	File       string        // made if it does not exist; empty: they don't
	Flush      time.Duration // what a kill may lose of it: records wait so long for the disk; 100 ms
	MaxPending int           // bytes that may wait for the disk; what is above is not kept; 64 MiB

	History History // ties the file to the register of users; nil: to none
}

// History is that of the register of users, on which sessions rest. It is asked when the
// broker starts, and while it serves.
type History interface {
	// Keys authenticate the records in the file, the first one those that are written;
	// what was written with none of them is left out. unkeyed has records read that
	// were written before there were keys.
	Keys() (keys [][]byte, unkeyed bool, err error)
	// Position returns in which state the register is, and Known reports whether it has
	// ever been in one: a file that was written in another is moved aside.
	Position() ([]byte, error)
	Known(position []byte) (bool, error)
}

// Listener is one address that the broker listens on.
type Listener struct {
	Name    string // unique; for the log and Addr
	Address string // host:port; port 0 picks a free one
	TLS     *TLS   // nil: plain TCP
	// WebSocket has MQTT carried in a WebSocket (MQTT 5 section 6). Nil: by the
	// connection itself.
	WebSocket *WebSocket
	// ProxyProtocol has every connection begin with a PROXY header, version 1
	// or 2, in which a proxy tells who its client is. Only those from
	// TrustedProxies are served, and only with the header. Anybody else is
	// turned away: who reaches this listener past its proxy has got round
	// whatever that proxy is there for, and a header that is optional lets a
	// proxy that lost its setting pass for the client of everybody.
	ProxyProtocol bool
}

// WebSocket says which upgrades a listener accepts.
type WebSocket struct {
	Paths []string // "/mqtt" and "/"
	// Origins are patterns (path.Match) of hosts whose pages may connect, with
	// a port if it matters, "*" for any. A browser tells the origin of its page,
	// and lends it the client certificate; other programs tell none and are not
	// asked. The pages of the host that the request names always may, whatever
	// port they came from.
	Origins []string
}

// withDefaults returns c with its zero values replaced.
func (c Config) withDefaults() Config {
	or(&c.ConnectTimeout, 5*time.Second)
	or(&c.WriteTimeout, 10*time.Second)
	or(&c.FinalTimeout, 200*time.Millisecond)
	or(&c.MaxConnections, 50_000)
	or(&c.MaxHalfOpen, 1000)
	or(&c.MaxHalfOpenPerAddress, 100)
	or(&c.MaxPacketSize, 256<<10)
	or(&c.MaxConnectPacket, 8<<10)
	or(&c.MaxQueued, 512)
	or(&c.MaxInflight, 1024)
	or(&c.MaxSessionBytes, 16<<20)
	or(&c.MaxWaitingBytes, 256<<20)
	or(&c.ReceiveMaximum, 256)
	or(&c.MaxSessionExpiry, 24*time.Hour)
	or(&c.MaxTopicLength, 512)
	or(&c.MaxTopicLevels, 32)
	or(&c.MaxSubscriptions, 1000)
	or(&c.MaxPatterns, 64)
	or(&c.MaxRetained, 100_000)
	or(&c.MaxRetainedBytes, 256<<20)
	or(&c.PublishBurst, 2*c.PublishRate)
	or(&c.RequestBurst, 2*c.RequestRate)
	or(&c.ReadBuffer, 2<<10)
	or(&c.SysInterval, 30*time.Second)
	or(&c.MaxClientID, 256)
	or(&c.MaxStoredSessions, 10)
	or(&c.MaxKeepAlive, time.Hour)
	or(&c.SignInTimeout, 5*time.Second)
	or(&c.TakeoverTimeout, time.Second)
	or(&c.EnforceTimeout, 500*time.Millisecond)
	or(&c.SweepInterval, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	or(&c.Sessions.Flush, 100*time.Millisecond)
	or(&c.Sessions.MaxPending, 64<<20)
	return c
}

func or[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// Both directions share mochi's packet identifiers. The guard looks for a free
// one among half of them, 32,767; so that is never hard to find.
const (
	maxInflight = 16_384
	maxReceive  = 8_192
)

// validate returns every reason why the broker can't run like this.
func (c Config) validate() error {
	var errs []error
	names := make(map[string]bool)
	for _, l := range c.Listeners {
		if l.Name == "" || names[l.Name] {
			errs = append(errs, fmt.Errorf("broker: listener %q: the name must be unique and not empty", l.Name))
		}
		names[l.Name] = true
		if l.TLS != nil && l.TLS.Certificate == nil {
			errs = append(errs, fmt.Errorf("broker: listener %s: TLS needs a certificate", l.Name))
		}
		if l.ProxyProtocol && len(c.TrustedProxies) == 0 {
			errs = append(errs, fmt.Errorf("broker: listener %s: ProxyProtocol needs TrustedProxies", l.Name))
		}
		if l.WebSocket != nil {
			errs = append(errs, l.WebSocket.validate(l.Name))
		}
	}
	for _, d := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"ConnectTimeout", c.ConnectTimeout, time.Millisecond, time.Hour},
		{"WriteTimeout", c.WriteTimeout, time.Millisecond, time.Hour},
		{"FinalTimeout", c.FinalTimeout, time.Millisecond, time.Minute},
		{"MaxSessionExpiry", c.MaxSessionExpiry, time.Second, 30 * 24 * time.Hour},
		{"SysInterval", c.SysInterval, time.Second, 24 * time.Hour},
		{"MaxKeepAlive", c.MaxKeepAlive, time.Second, 12 * time.Hour},
		{"SignInTimeout", c.SignInTimeout, time.Millisecond, time.Hour},
		{"TakeoverTimeout", c.TakeoverTimeout, time.Millisecond, time.Hour},
		{"EnforceTimeout", c.EnforceTimeout, time.Millisecond, time.Hour},
		{"SweepInterval", c.SweepInterval, time.Millisecond, 24 * time.Hour},
		{"Sessions.Flush", c.Sessions.Flush, time.Millisecond, time.Minute},
	} {
		if d.value < d.min || d.value > d.max {
			errs = append(errs, fmt.Errorf("broker: %s is %v: must be %v to %v", d.name, d.value, d.min, d.max))
		}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"MaxConnections", int64(c.MaxConnections)},
		{"MaxHalfOpen", int64(c.MaxHalfOpen)},
		{"MaxHalfOpenPerAddress", int64(c.MaxHalfOpenPerAddress)},
		{"MaxQueued", int64(c.MaxQueued)},
		{"MaxRetained", int64(c.MaxRetained)},
		{"MaxRetainedBytes", c.MaxRetainedBytes},
		{"ReadBuffer", int64(c.ReadBuffer)},
		{"MaxTopicLength", int64(c.MaxTopicLength)},
		{"MaxTopicLevels", int64(c.MaxTopicLevels)},
		{"MaxSubscriptions", int64(c.MaxSubscriptions)},
		{"MaxSessionBytes", c.MaxSessionBytes},
		{"MaxWaitingBytes", c.MaxWaitingBytes},
		{"MaxPatterns", int64(c.MaxPatterns)},
		{"MaxClientID", int64(c.MaxClientID)},
		{"MaxStoredSessions", int64(c.MaxStoredSessions)},
		{"Sessions.MaxPending", int64(c.Sessions.MaxPending)},
	} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("broker: %s is %d: must be at least 1", n.name, n.value))
		}
	}
	if c.MaxInflight > maxInflight {
		errs = append(errs, fmt.Errorf("broker: MaxInflight is %d: must be 1 to %d", c.MaxInflight, maxInflight))
	}
	if c.ReceiveMaximum > maxReceive {
		errs = append(errs, fmt.Errorf("broker: ReceiveMaximum is %d: must be 1 to %d", c.ReceiveMaximum, maxReceive))
	}
	if c.MaxWork < 0 || c.MaxWork > time.Second {
		errs = append(errs, fmt.Errorf("broker: MaxWork is %v: must be 0, which is no limit, to 1s", c.MaxWork))
	}
	if c.MaxUserRetained < 0 || c.MaxUserRetainedBytes < 0 {
		errs = append(errs, fmt.Errorf("broker: MaxUserRetained is %d, MaxUserRetainedBytes %d: must be at least 0, which is no limit", c.MaxUserRetained, c.MaxUserRetainedBytes))
	}
	if c.MaxUserConnections < 0 {
		errs = append(errs, fmt.Errorf("broker: MaxUserConnections is %d: must be at least 0, which is no limit", c.MaxUserConnections))
	}
	if c.MaxConnectionsPerAddress < 0 {
		errs = append(errs, fmt.Errorf("broker: MaxConnectionsPerAddress is %d: must be at least 0, which is no limit", c.MaxConnectionsPerAddress))
	}
	return errors.Join(errs...)
}

func (w *WebSocket) withDefaults() *WebSocket {
	if w == nil || len(w.Paths) > 0 {
		return w
	}
	return &WebSocket{Paths: []string{"/mqtt", "/"}, Origins: w.Origins}
}

func (w *WebSocket) validate(listener string) error {
	var errs []error
	for _, p := range w.Paths {
		if !strings.HasPrefix(p, "/") {
			errs = append(errs, fmt.Errorf("broker: listener %s: path %q: must begin with a slash", listener, p))
		}
	}
	for _, o := range w.Origins {
		if _, err := path.Match(o, ""); err != nil || o == "" || strings.Contains(o, "/") {
			errs = append(errs, fmt.Errorf("broker: listener %s: origin %q: must be a pattern of host or host:port, as in *.example.com", listener, o))
		}
	}
	return errors.Join(errs...)
}

// capabilities are mochi's own settings. What is not named here keeps the value
// of the library.
func (c Config) capabilities() *mqtt.Capabilities {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = 0 // the guard has looked, and packets grow by a prefix
	caps.MaximumClientWritesPending = c.MaxQueued
	caps.MaximumInflight = c.MaxInflight
	caps.ReceiveMaximum = c.ReceiveMaximum
	caps.MaximumSessionExpiryInterval = uint32(c.MaxSessionExpiry / time.Second) // #nosec G115 -- validate: at most 30 days
	caps.MinimumProtocolVersion = 3
	caps.RetainAvailable = 0 // mochi's part in it; see package retain
	// Mochi resolves an alias after its topic was judged: the guard does (adr/0013).
	caps.TopicAliasMaximum = 0
	// Anything else is added to every message delivered by MQTT 5.
	caps.MaximumMessageExpiryInterval = 0
	// Else acknowledgements carry the publisher's user properties back, and
	// MQTT.js never resolves such a publish.
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	return caps
}
