package node

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/bearer"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/rediscache"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

// tokenIssuer is what our tokens name as issuer and audience.
const tokenIssuer = "mqttwarden"

// cachedUsers is the default of Config.CachedUsers.
const cachedUsers = 128 << 20

// Config says what a node works with. The zero value of each setting is its
// default.
type Config struct {
	Database string             // SQLite file; made if it isn't there
	Postgres *sqlstore.Postgres // in place of the file
	Keys     *secret.KeyRing    // opens what is sealed in the store; see registry.CheckMasterKey
	Now      func() time.Time
	Log      *slog.Logger

	Redis    rediscache.Connection
	MaxStale time.Duration // how long memory is trusted while the store can't be asked; 5 min
	Poll     time.Duration // how often changes of other nodes are looked for; 2 s

	CachedUsers int // bytes of users and roles in memory beside those with a session; 128 MiB, below 0: none

	Hash        secret.Params // of new password hashes
	HashWorkers int           // passwords hashed at once; half the cores
	HashQueue   int           // of each kind that may wait; 256
	Remembered  string        // file that keeps over a restart which passwords were right, sealed; empty: none
	Policy      registry.PasswordPolicy
	Tokens      registry.TokenLives

	CA              ca.Config
	CertificateLife time.Duration // ca.DefaultClientLife
	AnchorFiles     []*x509.Certificate
	Enrolment       enrol.Settings
}

// Node is the register as one node has it. Its parts are safe for concurrent use.
type Node struct {
	Store      *sqlstore.Store
	Keys       *secret.KeyRing
	Hashes     *secret.Pool
	Editor     *registry.Editor
	Service    *registry.Service
	PKI        *pki.Service
	Enrolment  *enrol.Service
	SignIn     *registry.SignIn
	Principals *registry.Principals
	Reserved   *registry.ReservedIDs
	Follower   *registry.Follower
	Cache      *rediscache.Cache // nil without Redis

	cfg       Config
	passwords *registry.Passwords
	verifier  *secret.Verifier
	signer    *bearer.Signer
	roles     *registry.HeldRoles
	enforcers []Enforcer
}

// Enforcer makes live sessions obey the current rights of their users.
type Enforcer interface {
	registry.Enforcer
	// EnforceAll is Enforce for every user with a session: it is called when the trust
	// anchors have changed.
	EnforceAll(ctx context.Context)
	// EnforceClientIDs has whoever has a session under one of these client IDs obey
	// what they are reserved for now.
	EnforceClientIDs(ctx context.Context, clientIDs []string)
}

// Open opens the store, makes it if it isn't there, and unlocks it with the keys.
// Nothing is followed, and nothing answered from memory, before Start.
func Open(ctx context.Context, cfg Config) (_ *Node, err error) {
	n := &Node{cfg: cfg, Keys: cfg.Keys}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	for _, step := range []func(context.Context) error{
		n.openStore, n.openServices, n.openCache, n.openSignIn,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) openStore(ctx context.Context) (err error) {
	n.Store, err = sqlstore.Open(ctx, sqlstore.Config{Path: n.cfg.Database, Postgres: n.cfg.Postgres, Now: n.cfg.Now, Log: n.cfg.Log})
	if err != nil {
		return err
	}
	if err := registry.CheckMasterKey(ctx, n.Store, n.Keys); err != nil {
		return err
	}
	n.signer, err = registry.OpenSigner(ctx, n.Store, n.Keys, tokenIssuer)
	return err
}

// openServices makes what changes the register.
func (n *Node) openServices(ctx context.Context) (err error) {
	cfg := &n.cfg
	if cfg.HashWorkers == 0 {
		cfg.HashWorkers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	n.Hashes = secret.NewPool(secret.PoolConfig{Params: cfg.Hash, Workers: cfg.HashWorkers, Queue: cfg.HashQueue})
	n.verifier = secret.NewVerifier(n.Hashes, secret.VerifierConfig{Now: cfg.Now})
	if err := n.recall(ctx); err != nil {
		return err
	}
	n.passwords = &registry.Passwords{Policy: cfg.Policy, Hasher: n.Hashes, Now: cfg.Now, Verifier: n.verifier}
	n.Follower = registry.NewFollower(registry.FollowerConfig{MaxStale: cfg.MaxStale, Poll: cfg.Poll, Now: cfg.Now, Log: cfg.Log}, n.Store)
	n.roles = registry.NewHeldRoles()
	n.Editor = registry.NewEditor(n.Store, n.roles, cfg.Now, n.changed)
	n.Service = registry.NewService(registry.ServiceConfig{
		Store: n.Store, Editor: n.Editor, Passwords: n.passwords, Signer: n.signer, Tokens: cfg.Tokens, Now: cfg.Now,
	})
	n.PKI, err = pki.Open(ctx, pki.Config{
		Editor: n.Editor, Store: n.Store, Keys: n.Keys, CA: cfg.CA, AnchorFiles: cfg.AnchorFiles,
		Life: cfg.CertificateLife, Now: cfg.Now,
	})
	if err != nil {
		return err
	}
	n.Enrolment, err = enrol.Open(ctx, enrol.Config{
		Settings: cfg.Enrolment, Editor: n.Editor, Store: n.Store, Passwords: n.passwords, Certificates: n.PKI,
		Now: cfg.Now, Log: cfg.Log,
	})
	return err
}

// changed is told after each change that this node has committed.
func (n *Node) changed(number uint64) {
	if n.Principals != nil { // not while the node opens
		n.Principals.ForgetAbsent() // a user who was made can sign in at once
	}
	n.Follower.Committed(number)
}

func (n *Node) openCache(ctx context.Context) error {
	cfg := registry.PrincipalsConfig{Store: n.Store, Roles: n.roles, Size: cmp.Or(n.cfg.CachedUsers, cachedUsers), Fresh: n.Follower.Fresh}
	if n.cfg.Redis.URL != "" {
		id, err := n.Store.Identity(ctx)
		if err != nil {
			return err
		}
		name, err := registry.NewID()
		if err != nil {
			return err
		}
		n.Cache, err = rediscache.Open(ctx, rediscache.Config{
			Connection: n.cfg.Redis, Store: id, Node: name, Seal: n.Keys, Source: n.Store, Fresh: n.Follower.Fresh, Now: n.cfg.Now, Log: n.cfg.Log,
		})
		if err != nil {
			return err
		}
		cfg.Cache = n.Cache
		n.Follower.Join(n.Cache.Bus())
	}
	n.Principals = registry.NewPrincipals(cfg)
	n.Reserved = registry.NewReservedIDs(n.Store)
	return nil
}

func (n *Node) openSignIn(context.Context) error {
	n.SignIn = registry.NewSignIn(registry.SignInConfig{
		Principals: n.Principals, Passwords: n.passwords, Tokens: n.Store, Signer: n.signer, Now: n.cfg.Now,
		Anchors: n.PKI.Trust(), UnknownUser: n.Enrolment.UnknownUser,
		CertificateRemoved: n.Store.CertificateRemoved, CertificateUsed: n.PKI.CertificateUsed,
	})
	return nil
}

// Start connects the follower to what is kept in memory and to the enforcers; changes
// are followed while Follower.Run runs. It must return before anybody signs in.
func (n *Node) Start(ctx context.Context, enforcers ...Enforcer) error {
	n.enforcers = enforcers
	n.Follower.OnChange(registry.ClientIDChange, n.changeReserved)
	n.Follower.OnChange(registry.AuthorityChange, func(ctx context.Context, _ []string) error {
		return n.PKI.Issuer().Reload(ctx)
	})
	n.Follower.OnChange(registry.AnchorChange, func(ctx context.Context, _ []string) error {
		return n.changeAnchors(ctx, n.PKI.Trust().Reload)
	})
	n.Follower.OnChange(registry.WindowChange, func(ctx context.Context, _ []string) error {
		return n.Enrolment.ReloadWindow(ctx)
	})
	all := make([]registry.Enforcer, len(enforcers))
	for i, e := range enforcers {
		all[i] = e
	}
	var cache registry.RecordCache
	if n.Cache != nil {
		cache = n.Cache
	}
	return n.Follower.Start(ctx, n.Principals, cache, all...)
}

// changeReserved reads again for whom client IDs are reserved. Sessions of others under
// them end.
func (n *Node) changeReserved(ctx context.Context, clientIDs []string) error {
	if err := n.Reserved.Reload(ctx, clientIDs); err != nil {
		return err
	}
	for _, e := range n.enforcers {
		if clientIDs == nil {
			e.EnforceAll(ctx)
		} else {
			e.EnforceClientIDs(ctx, clientIDs)
		}
	}
	return nil
}

// Warm fills the near cache from the store. Its users are read when they come if that
// fails.
func (n *Node) Warm(ctx context.Context) {
	start := n.cfg.Now()
	read, err := n.Principals.Warm(ctx, n.Store)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.cfg.Log.Warn("not all users could be read into memory: the others are read when they come", "read", read, "err", err)
	default:
		n.cfg.Log.Debug("users were read into memory", "users", read, "took", n.cfg.Now().Sub(start))
	}
}

// UseAnchorFiles replaces the trust anchors that come from files.
func (n *Node) UseAnchorFiles(ctx context.Context, certs []*x509.Certificate) error {
	return n.changeAnchors(ctx, func(context.Context) error {
		n.PKI.Trust().UseFiles(certs)
		return nil
	})
}

// changeAnchors changes the trust anchors. Sessions that rest on one that is gone
// end.
func (n *Node) changeAnchors(ctx context.Context, change func(context.Context) error) error {
	before := n.PKI.Trust().Pool()
	if err := change(ctx); err != nil {
		return err
	}
	if before.Equal(n.PKI.Trust().Pool()) {
		return nil
	}
	for _, e := range n.enforcers {
		e.EnforceAll(ctx)
	}
	return nil
}

// Close writes down what is remembered of sign-ins and ends the connections to Redis
// and the store. Nothing may run any more
// that uses the node.
func (n *Node) Close() error {
	var errs []error
	errs = append(errs, n.remember(context.Background()))
	if n.Cache != nil {
		errs = append(errs, n.Cache.Close())
	}
	if n.Store != nil {
		errs = append(errs, n.Store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the register: %w", err)
	}
	return nil
}
