package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"
)

// VerifierConfig says what a Verifier remembers. The zero value of each field is
// its default.
type VerifierConfig struct {
	Size     int              // right answers, and as many wrong ones again; 65,536 (9 MB each when full)
	TTL      time.Duration    // how long a right answer is remembered; 24 h
	WrongTTL time.Duration    // how long a wrong answer is remembered; 10 min
	Now      func() time.Time // time.Now
	Rand     io.Reader        // crypto/rand
}

// Verifier answers "is this the password of that user", and remembers both
// answers, so that devices which all come back at once cost microseconds.
//
// What it keeps is HMAC-SHA-256(key, name, stored hash, password), in memory,
// under a key that is random for each process unless Recall brings that of another. The
// stored hash is part of it, so what is remembered of a password ends when another one is set. Right and
// wrong answers are kept apart, so that guesses do not displace right answers.
//
// A name that does not exist costs what a wrong password costs, see CheckNobody:
// the time of an answer does not tell who exists. (A user whose stored hash has
// other cost parameters than ours takes another time, until a new password is set.)
//
// It knows passwords, not accounts: whether the user is active is for the caller to
// find out each time, as a right answer may be 24 hours old.
//
// It is safe for concurrent use.
type Verifier struct {
	pool   *Pool
	nobody string // a stored hash that no password fits
	now    func() time.Time
	start  time.Time
	key    []byte
	mac    *keyed
	yes    *verification // the answers that are remembered
	no     *verification

	mu      sync.Mutex
	right   *memory
	wrong   *memory
	running map[sum256]*verification
}

// A verification is a question that one caller has answered and others may wait for. Its
// answer may be read when done is closed.
type verification struct {
	done chan struct{}
	ok   bool
	err  error
}

// NewVerifier returns a Verifier that asks pool. It panics if cfg.Rand fails,
// which crypto/rand never does.
func NewVerifier(pool *Pool, cfg VerifierConfig) *Verifier {
	if cfg.Size <= 0 {
		cfg.Size = 1 << 16
	}
	if cfg.TTL <= 0 {
		cfg.TTL = 24 * time.Hour
	}
	if cfg.WrongTTL <= 0 {
		cfg.WrongTTL = 10 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	key := make([]byte, 32)
	_, err := io.ReadFull(cfg.Rand, key)
	if err != nil {
		panic("secret: no randomness: " + err.Error())
	}
	nobody, err := pool.nobody(cfg.Rand)
	if err != nil {
		panic("secret: no randomness: " + err.Error())
	}
	known := make(chan struct{})
	close(known)
	v := &Verifier{
		pool:    pool,
		nobody:  nobody,
		now:     cfg.Now,
		start:   cfg.Now(),
		yes:     &verification{done: known, ok: true},
		no:      &verification{done: known},
		right:   newMemory(cfg.Size, cfg.TTL),
		wrong:   newMemory(cfg.Size, cfg.WrongTTL),
		running: make(map[sum256]*verification),
	}
	v.useKey(key)
	return v
}

// Check reports whether password is that of the user called name, whose stored
// hash is encoded. A question that was answered before costs about a microsecond;
// the same question asked by many at once is one hash. It returns the errors of
// Pool.Verify; then ok is false, and nothing is remembered.
func (v *Verifier) Check(ctx context.Context, name, encoded, password string) (ok bool, err error) {
	ok, err = v.check(ctx, name, encoded, password)
	if errors.Is(err, ErrFormat) { // no hash was computed: the time must not tell
		if err := v.CheckNobody(ctx, name, password); err != nil {
			return false, err
		}
	}
	return ok, err
}

// CheckNobody does the work of a Check with a wrong password, for a name that
// does not exist or a user who has no password: the answer is no. It returns the
// errors of Pool.Verify, which must be told to the client as those of Check are.
func (v *Verifier) CheckNobody(ctx context.Context, name, password string) error {
	_, err := v.check(ctx, name, v.nobody, password)
	return err
}

func (v *Verifier) check(ctx context.Context, name, encoded, password string) (bool, error) {
	if !usable(password) {
		return false, nil
	}
	mac := sum(v.mac, name, encoded, password)
	for {
		c, mine := v.ask(mac)
		if mine {
			return v.answer(ctx, c, mac, encoded, password)
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if errors.Is(c.err, context.Canceled) || errors.Is(c.err, context.DeadlineExceeded) {
			continue // the caller that was to answer gave up; this one has not
		}
		return c.ok, c.err
	}
}

// ask returns the verification that has the answer or will have it. If mine, the caller
// has to answer it.
func (v *Verifier) ask(mac sum256) (c *verification, mine bool) {
	now := v.age()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.right.has(mac, now) {
		return v.yes, false
	}
	if v.wrong.has(mac, now) {
		return v.no, false
	}
	if c, ok := v.running[mac]; ok {
		return c, false
	}
	c = &verification{done: make(chan struct{})}
	v.running[mac] = c
	return c, true
}

// answer verifies the password, answers c with that, and remembers it.
func (v *Verifier) answer(ctx context.Context, c *verification, mac sum256, encoded, password string) (bool, error) {
	c.err = errors.New("secret: verification was cut short") // should it panic
	defer func() {
		now := v.age()
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.running, mac)
		switch {
		case c.err != nil:
		case c.ok:
			v.right.add(mac, now)
		default:
			v.wrong.add(mac, now)
		}
		close(c.done)
	}()
	c.ok, c.err = v.pool.Verify(ctx, encoded, password)
	return c.ok, c.err
}

// age is the time since v was made: on the monotonic clock, so that a wall clock
// that is set back does not prolong what is remembered.
func (v *Verifier) age() time.Duration { return v.now().Sub(v.start) }
