package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/errgroup"

	"mqttwarden/broker/internal/retain"
	"mqttwarden/registry/loglimit"
	"mqttwarden/registry/peer"
)

// Broker is an MQTT broker with its listeners.
type Broker struct {
	cfg       Config
	log       *slog.Logger
	srv       *mqtt.Server
	persist   *persist
	listeners []*listener
	closing   chan struct{} // closed when Shutdown begins

	mu      sync.Mutex
	started bool
	stopped bool
	conns   map[*conn]struct{}
	wg      sync.WaitGroup // accept loops and connections

	hook     Hook[Login] // from Start on
	sessions *sessions
	retained *retain.Store
	waiting  *waitingBytes

	proxies   peer.Proxies
	admission *admission
	count     counters
	reads     atomic.Uint64 // how often it was asked whether somebody may read
	retaining atomic.Int64  // connections of which mochi has a message that is to be retained

	full    limitedLog // says that a limit is reached
	reports *loglimit.Log
}

// New binds all listeners; nobody is served before Start. A broker that is not
// started needs Shutdown, too.
func New(cfg Config, log *slog.Logger) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Broker{
		cfg:       cfg,
		log:       log,
		closing:   make(chan struct{}),
		conns:     make(map[*conn]struct{}),
		sessions:  newSessions(cfg),
		proxies:   cfg.TrustedProxies,
		admission: newAdmission(cfg),
		retained: retain.New(retain.Limits{
			Messages: cfg.MaxRetained, Bytes: cfg.MaxRetainedBytes,
			UserMessages: cfg.MaxUserRetained, UserBytes: cfg.MaxUserRetainedBytes,
		}),
		reports: loglimit.New(log, cfg.Now, 1),
		waiting: newWaitingBytes(cfg.MaxWaitingBytes),
		srv: mqtt.New(&mqtt.Options{
			Capabilities:             cfg.capabilities(),
			ClientNetReadBufferSize:  16, // the guard reads ahead
			ClientNetWriteBufferSize: 4 << 10,
			Logger:                   slog.New(newDiscreet(log.Handler())),
			SysTopicResendInterval:   int64(cfg.SysInterval / time.Second),
		}),
	}
	for _, l := range cfg.Listeners {
		bound, err := listen(l)
		if err != nil {
			b.closeListeners()
			return nil, err
		}
		b.listeners = append(b.listeners, bound)
	}
	b.persist = &persist{b: b}
	return b, nil
}

// start installs the hook and serves.
func (b *Broker) start(h Hook[Login]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.stopped {
		return errors.New("broker: started twice, or after Shutdown")
	}
	b.hook = h
	if err := b.srv.AddHook(&mochiHook{b: b}, nil); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := b.persist.open(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := b.persist.restore(b.cfg.Now()); err != nil {
		return err
	}
	if err := b.srv.Serve(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.started = true
	b.wg.Go(b.sweeps)
	for _, l := range b.listeners {
		b.wg.Go(func() { b.accept(l) })
	}
	return nil
}

// Addr returns where the listener with that name listens, nil if there is none.
func (b *Broker) Addr(name string) net.Addr {
	for _, l := range b.listeners {
		if l.name == name {
			return l.Addr()
		}
	}
	return nil
}

// Shutdown tells every client goodbye (MQTT 5: 0x8B) and stops. If that takes
// longer than ctx allows, it returns ctx's error; all connections are cut then.
//
// None of mochi's closing code meets a connection: it waits without limit, and
// Clients.GetByListener can deadlock (v2.7.9).
func (b *Broker) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		return nil
	}
	b.stopped = true
	close(b.closing)
	b.mu.Unlock()

	b.closeListeners()
	b.disconnectAll(packets.ErrServerShuttingDown)
	b.each((*conn).Close) // those that were not signed in

	done := make(chan error, 1)
	go func() {
		b.wg.Wait() // mochi must not wait for clients that are still being added
		done <- b.srv.Close()
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		b.each((*conn).drop)
		err = fmt.Errorf("broker: shutdown: %w", ctx.Err())
	}
	return errors.Join(err, b.persist.close()) // when the last has left
}

func (b *Broker) closeListeners() {
	for _, l := range b.listeners {
		_ = l.Close()
	}
}

// disconnectAll ends every client with code. It takes as long as the final packet
// to the slowest.
func (b *Broker) disconnectAll(code packets.Code) {
	var g errgroup.Group
	g.SetLimit(64)
	for _, cl := range b.srv.Clients.GetAll() {
		if !cl.Closed() {
			g.Go(func() error {
				b.kick(cl, code)
				return nil
			})
		}
	}
	_ = g.Wait()
}

// each does f to every connection.
func (b *Broker) each(f func(*conn) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = f(c)
	}
}

// track counts a connection in, unless there are too many or the broker stops.
func (b *Broker) track(c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	if len(b.conns) >= b.cfg.MaxConnections {
		b.count.connectionsRefused.Add(1)
		return false
	}
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	return true
}

// untrack counts a connection out.
func (b *Broker) untrack(c *conn) {
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	b.wg.Done()
}
