package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
)

// ErrBusy says that as many hashes run and wait as may. It says nothing about the
// password: the client may try again soon (MQTT 5 reason code 0x89).
var ErrBusy = errors.New("secret: too many passwords are being hashed")

// PoolConfig says how a Pool hashes. The zero value of each field is its default.
type PoolConfig struct {
	Params  Params    // of new hashes; DefaultParams
	Workers int       // hashes at once; as many as keep half the cores busy, at least 1
	Queue   int       // calls of each kind that may wait for a worker; 256, and none if negative
	Rand    io.Reader // of salts; crypto/rand
}

// Pool hashes and verifies passwords, a bounded number at once: each takes a core
// for tens of milliseconds and Params.Memory of memory. What exceeds the workers
// waits; kinds of work and networks have their turns, see For. What exceeds the queue
// is refused. It is safe for concurrent use and starts no goroutines of its own.
type Pool struct {
	params  Params
	rand    io.Reader
	formats []format

	workers int
	queue   queue
	done    atomic.Uint64
}

// Stats are the figures of a Pool for metrics. Done and Refused only grow.
type Stats struct {
	Workers   int    // hashes that may run at once
	Running   int    // hashes that run
	Waiting   int    // calls that wait for a worker
	Done      uint64 // hashes computed, right and wrong
	Refused   uint64 // calls that got ErrBusy
	Displaced uint64 // of these, calls that gave up their seat to another network
}

// NewPool returns a Pool. Params that do not validate make every Hash fail.
func NewPool(cfg PoolConfig) *Pool {
	if cfg.Params == (Params{}) {
		cfg.Params = DefaultParams()
	}
	if cfg.Workers <= 0 {
		cfg.Workers = max(1, runtime.GOMAXPROCS(0)/2/max(1, int(cfg.Params.Threads)))
	}
	if cfg.Queue == 0 {
		cfg.Queue = 256
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Pool{
		params:  cfg.Params,
		rand:    cfg.Rand,
		formats: formats(),
		workers: cfg.Workers,
		queue:   queue{seats: max(0, cfg.Queue), idle: cfg.Workers},
	}
}

// Hash returns a new hash of password in the PHC string format
// ($argon2id$v=19$m=…,t=…,p=…$salt$hash). It returns ErrPassword, ErrBusy, the
// error of ctx if that ends while waiting for a worker, or that of
// Params.Validate. A hash that has begun is not interrupted.
func (p *Pool) Hash(ctx context.Context, password string) (encoded string, err error) {
	if !usable(password) {
		return "", ErrPassword
	}
	if err := p.params.Validate(); err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	if err := p.queue.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	h, err := newArgon2id(p.params, p.rand, password)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}

// Verify reports whether password is the one that encoded was made of. It returns
// ErrFormat, ErrBusy, or the error of ctx as Hash does; then ok is false.
func (p *Pool) Verify(ctx context.Context, encoded, password string) (ok bool, err error) {
	check, err := parse(p.formats, encoded)
	if err != nil {
		return false, err
	}
	if !usable(password) {
		return false, nil
	}
	if err := p.queue.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	return check(password), nil
}

// Outdated reports whether encoded is anything else than what Hash would write
// now: another format, other parameters, another length of salt or hash.
func (p *Pool) Outdated(encoded string) bool {
	h, err := parseArgon2id(encoded)
	return err != nil || h.params != p.params || len(h.salt) != saltLen || len(h.sum) != sumLen
}

// Stats returns the figures of this moment.
func (p *Pool) Stats() Stats {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	return Stats{
		Workers:   p.workers,
		Running:   p.workers - p.queue.idle,
		Waiting:   p.queue.waiting(),
		Done:      p.done.Load(),
		Refused:   p.queue.refused,
		Displaced: p.queue.displaced,
	}
}

// nobody returns a hash of no password, which takes as long to check as one that
// Hash returns.
func (p *Pool) nobody(rand io.Reader) (encoded string, err error) {
	h := argon2id{params: p.params, salt: make([]byte, saltLen), sum: make([]byte, sumLen)}
	for _, b := range [][]byte{h.salt, h.sum} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return "", err
		}
	}
	return h.String(), nil
}

func (p *Pool) leave() {
	p.done.Add(1)
	p.queue.leave()
}
