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
// What it keeps is HMAC-SHA-256(key, name, stored hash, password), in memory
// only, under a key that is random for each process. The stored hash is part of
// it: a changed password is another question, and ends what was known about the
// old one without being told. Right and wrong answers have their own room, so
// that someone who guesses can not push out those who know.
//
// A name that does not exist goes the way of a wrong password, see CheckNobody:
// the time of an answer does not tell who exists. (A user whose stored hash has
// other cost parameters than ours takes another time, until a new password is set.)
//
// It does not know who may sign in: ask after the lock, the ban and the expiry
// were looked at, as a right answer may be 24 hours old.
//
// It is safe for concurrent use.
type Verifier struct {
	pool   *Pool
	nobody string // a stored hash that no password fits
	now    func() time.Time
	start  time.Time
	mac    *keyed
	yes    *flight // what is remembered has landed long ago
	no     *flight

	mu      sync.Mutex
	right   *memory
	wrong   *memory
	flights map[sum256]*flight
}

// A flight is a question that is being answered. Its answer may be read when done
// is closed.
type flight struct {
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
	landed := make(chan struct{})
	close(landed)
	return &Verifier{
		pool:    pool,
		nobody:  nobody,
		now:     cfg.Now,
		start:   cfg.Now(),
		mac:     newKeyed(key),
		yes:     &flight{done: landed, ok: true},
		no:      &flight{done: landed},
		right:   newMemory(cfg.Size, cfg.TTL),
		wrong:   newMemory(cfg.Size, cfg.WrongTTL),
		flights: make(map[sum256]*flight),
	}
}

// Check reports whether password is that of the user called name, whose stored
// hash is encoded. A question that was answered before costs about a microsecond;
// the same question asked by many at once is one hash. It returns the errors of
// Pool.Verify; then ok is false, and nothing is remembered.
func (v *Verifier) Check(ctx context.Context, name, encoded, password string) (ok bool, err error) {
	ok, err = v.check(ctx, name, encoded, password)
	if errors.Is(err, ErrFormat) { // found out in no time, which must not show
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
		f, mine := v.ask(mac)
		if mine {
			return v.answer(ctx, f, mac, encoded, password)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
			continue // who asked first has gone; we have not
		}
		return f.ok, f.err
	}
}

// ask returns the flight that has the answer or will have it, which the caller
// must make happen if it is mine.
func (v *Verifier) ask(mac sum256) (f *flight, mine bool) {
	now := v.age()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.right.has(mac, now) {
		return v.yes, false
	}
	if v.wrong.has(mac, now) {
		return v.no, false
	}
	if f, flying := v.flights[mac]; flying {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	v.flights[mac] = f
	return f, true
}

// answer makes a flight happen, and remembers what it told.
func (v *Verifier) answer(ctx context.Context, f *flight, mac sum256, encoded, password string) (bool, error) {
	f.err = errors.New("secret: verification was cut short") // should it panic
	defer func() {
		now := v.age()
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.flights, mac)
		switch {
		case f.err != nil:
		case f.ok:
			v.right.add(mac, now)
		default:
			v.wrong.add(mac, now)
		}
		close(f.done)
	}()
	f.ok, f.err = v.pool.Verify(ctx, encoded, password)
	return f.ok, f.err
}

// age is the time since v was made: on the monotonic clock, so that a wall clock
// that is set back does not prolong what is remembered.
func (v *Verifier) age() time.Duration { return v.now().Sub(v.start) }
