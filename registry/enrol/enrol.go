package enrol

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/throttle"
)

// Config holds what the service works with.
type Config struct {
	Settings

	Editor       *registry.Editor
	Store        Store
	Passwords    *registry.Passwords
	Certificates Certificates
	Now          func() time.Time
	Log          *slog.Logger
}

// Settings bound how devices register themselves. The zero value of each is its
// default.
type Settings struct {
	Max           int // pending registrations at once; 1000
	MaxPerAddress int // of them, of one network; a quarter
	// PairingCode demands the pairing code of whoever confirms.
	PairingCode bool
	Collect     time.Duration // how long a granted one waits for its client; 10 min
	// Grace is how long a client that asked with a CSR may collect again, should
	// the first answer be lost; 30 s, and not at all if negative. A client that
	// asked with a password signs in with it instead.
	Grace   time.Duration
	Overlap time.Duration // how long a renewed certificate goes on; 24 h
	Rate    float64       // requests a second from one network; 5
	Burst   int           // requests that it may make at once; 100
	// Guessed is told of a request for a granted registration that has another
	// secret, so that it can be counted as a wrong password. May be nil.
	Guessed func(ctx context.Context, a registry.Attempt)
}

// Store is what is read outside of a unit of work.
type Store interface {
	registry.RegistrationReader
	registry.IssuedReader
	User(ctx context.Context, id registry.UserID) (registry.User, error)
}

// Certificates is the certificate authority as enrolment needs it; *pki.Service
// is it.
type Certificates interface {
	// Check returns Invalid for a request that would not be signed for the user.
	Check(csr, username string) error
	Sign(csr, username string) (pki.Signed, error)
	Record(ctx context.Context, e *registry.Edit, u *registry.User, cert pki.Signed, replaces string) (registry.IssuedCertificate, error)
	// UsedLately reports whether a certificate has signed in at this node though the
	// store may not know yet.
	UsedLately(sha256 string) bool
}

// maxNetworks bounds how many networks the limit on requests keeps apart.
const maxNetworks = 1 << 16

// Service takes registrations, has them decided, and renews certificates.
type Service struct {
	cfg      Config
	editor   *registry.Editor
	store    Store
	now      func() time.Time
	throttle *throttle.Throttle[netip.Prefix]
	loading  sync.Mutex
	window   atomic.Pointer[registry.Window] // as it was last read
	refused  atomic.Uint64
}

// Open returns the service over a store, with the window as it is stored.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	cfg.complete()
	s := &Service{
		cfg: cfg, editor: cfg.Editor, store: cfg.Store, now: cfg.Now,
		throttle: throttle.New[netip.Prefix](throttle.Limit{Rate: cfg.Rate, Burst: cfg.Burst}, maxNetworks),
	}
	return s, s.ReloadWindow(ctx)
}

func (c *Settings) complete() {
	if c.Max <= 0 {
		c.Max = 1000
	}
	if c.MaxPerAddress <= 0 {
		c.MaxPerAddress = max(1, c.Max/4)
	}
	if c.Collect <= 0 {
		c.Collect = 10 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Overlap <= 0 {
		c.Overlap = 24 * time.Hour
	}
	if c.Rate <= 0 {
		c.Rate = 5
	}
	if c.Burst <= 0 {
		c.Burst = 100
	}
	if c.Guessed == nil {
		c.Guessed = func(context.Context, registry.Attempt) {}
	}
}

// The actions of this package in the audit log.
const (
	Requested    registry.Action = "registration.request"
	Collected    registry.Action = "registration.collect"
	Confirmed    registry.Action = "registration.confirm"
	Denied       registry.Action = "registration.deny"
	Dropped      registry.Action = "registration.drop" // a user of that name was made meanwhile
	WindowOpened registry.Action = "registration.open"
	WindowLocked registry.Action = "registration.lock"
)

// The fields that errors and audit entries of this package name.
const (
	FieldCertificate registry.Field = "certificate"
	FieldContext     registry.Field = "context"
	FieldDuration    registry.Field = "duration"
	FieldOpenUntil   registry.Field = "openUntil"
	FieldPairingCode registry.Field = "pairingCode"
)

// target names a registration.
func target(r *registry.Registration) registry.Target {
	return registry.Target{Kind: registry.TargetRegistration, ID: string(r.ID), Name: r.Username}
}

// pairingCode returns what the audit log says about a registration beside its name.
func pairingCode(r *registry.Registration) []registry.FieldChange {
	var d registry.Differences
	d.Text(FieldPairingCode, "", r.PairingCode)
	return d.Created()
}
