package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// The columns that the keys are bound to when they are sealed.
const (
	authorityTable     = "authorities"
	authorityKeyColumn = "sealed_key"
	authorityRootKey   = "root_key"
)

// Issuer is the certificate authority of a store, in all its generations. It is
// safe for concurrent use.
type Issuer struct {
	editor *registry.Editor
	store  registry.AuthorityReader
	keys   registry.Sealer
	cfg    ca.Config
	now    func() time.Time

	loading     sync.Mutex
	generations atomic.Pointer[[]generation] // the oldest first, at least one
}

// generation is one authority and its number.
type generation struct {
	number    uint64
	authority *ca.Authority
	rootKey   []byte // sealed
}

// openIssuer returns the authority of the store, which it makes if there is none. Of
// several nodes that start at once, all use that of the first.
//
// Each generation has a CRL of its own: the CRL's URL, if any, is completed by a
// slash and the number of the generation, which is what Service.CRL takes.
func openIssuer(ctx context.Context, cfg Config) (*Issuer, error) {
	i := &Issuer{editor: cfg.Editor, store: cfg.Store, keys: cfg.Keys, cfg: cfg.CA, now: cfg.Now}
	have, err := i.store.Authorities(ctx)
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		if err := i.create(ctx); err != nil {
			return nil, fmt.Errorf("make the certificate authority: %w", err)
		}
	}
	return i, i.Reload(ctx)
}

// Current returns the authority that issues.
func (i *Issuer) Current() *ca.Authority { return i.current().authority }

// Certificates returns the issuing certificates of all generations, the newest
// first.
func (i *Issuer) Certificates() []*x509.Certificate {
	var all []*x509.Certificate
	for _, g := range i.newestFirst() {
		all = append(all, g.authority.Certificates()[0])
	}
	return all
}

// Reload reads what other nodes made. A registry.Follower calls it; see OnChange.
func (i *Issuer) Reload(ctx context.Context) error {
	i.loading.Lock()
	defer i.loading.Unlock()
	stored, err := i.store.Authorities(ctx)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		return errors.New("the store has no certificate authority")
	}
	if known := i.generations.Load(); known != nil && len(*known) == len(stored) {
		return nil // none is ever removed or altered
	}
	all := make([]generation, 0, len(stored))
	for _, a := range stored {
		g, err := i.load(a)
		if err != nil {
			return fmt.Errorf("certificate authority, generation %d: %w", a.Generation, err)
		}
		all = append(all, g)
	}
	i.generations.Store(&all)
	return nil
}

func (i *Issuer) load(a registry.SealedAuthority) (generation, error) {
	key, err := i.keys.Open(authorityTable, a.Key, authorityTable, authorityKeyColumn, generationName(a.Generation))
	if err != nil {
		return generation{}, fmt.Errorf("the key can't be opened with this master key: %w", err)
	}
	authority, err := ca.Load(i.config(a.Generation), []byte(a.Chain), key)
	return generation{number: a.Generation, authority: authority, rootKey: a.RootKey}, err
}

// create makes the first generation, unless another node has.
func (i *Issuer) create(ctx context.Context) error {
	made, rootKey, err := ca.Create(i.config(1), i.now())
	if err != nil {
		return err
	}
	sealed, err := i.seal(1, made, rootKey)
	if err != nil {
		return err
	}
	_, err = i.editor.Do(ctx, registry.System("start"), func(ctx context.Context, e *registry.Edit) error {
		return addAuthority(ctx, e, AuthorityCreated, made, sealed)
	})
	if errors.Is(err, registry.Conflict) {
		return nil
	}
	return err
}

// seal returns an authority as it is stored; rootKey may be empty.
func (i *Issuer) seal(number uint64, a *ca.Authority, rootKey []byte) (registry.SealedAuthority, error) {
	key, err := a.PrivateKeyPEM()
	if err != nil {
		return registry.SealedAuthority{}, err
	}
	sealed := registry.SealedAuthority{Generation: number, Chain: a.ChainPEM(), Created: registry.Stamp(i.now())}
	if sealed.Key, err = i.keys.Seal(authorityTable, key, authorityTable, authorityKeyColumn, generationName(number)); err != nil {
		return registry.SealedAuthority{}, err
	}
	if len(rootKey) > 0 {
		sealed.RootKey, err = i.keys.Seal(authorityTable, rootKey, authorityTable, authorityRootKey, generationName(number))
	}
	return sealed, err
}

// openRootKey returns the root key of a generation, nil if we do not have it.
func (i *Issuer) openRootKey(g generation) ([]byte, error) {
	if len(g.rootKey) == 0 {
		return nil, nil
	}
	return i.keys.Open(authorityTable, g.rootKey, authorityTable, authorityRootKey, generationName(g.number))
}

// config returns the settings of one generation.
func (i *Issuer) config(number uint64) ca.Config {
	cfg := i.cfg
	if cfg.CRLURL != "" {
		cfg.CRLURL += "/" + generationName(number)
	}
	return cfg
}

func (i *Issuer) current() generation {
	all := *i.generations.Load()
	return all[len(all)-1]
}

func (i *Issuer) newestFirst() []generation {
	all := *i.generations.Load()
	out := make([]generation, 0, len(all))
	for n := len(all) - 1; n >= 0; n-- {
		out = append(out, all[n])
	}
	return out
}

func generationName(number uint64) string { return strconv.FormatUint(number, 10) }
