package pki

import (
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mqttwarden/registry"
)

// AnchorsConfig says what is trusted.
type AnchorsConfig struct {
	Store registry.AnchorReader
	Files []*x509.Certificate // from files of the configuration; trusted as the uploaded ones are; see UseFiles
	// Own returns the issuing certificates of our own authority. What they signed
	// signs in only while its fingerprint is registered, never by its name, even if
	// a CA above them is trusted. Nil: there is none.
	Own func() []*x509.Certificate
	Now func() time.Time
}

// Anchors is what client certificates are trusted by, in memory. It is safe for
// concurrent use.
type Anchors struct {
	cfg  AnchorsConfig
	view atomic.Pointer[anchorView]

	loading sync.Mutex // held while the store is read, so that no older answer replaces a newer one
	files   []*x509.Certificate
	stored  []*x509.Certificate
}

type anchorView struct {
	certs []*x509.Certificate
	pool  *x509.CertPool
	until map[string]time.Time // when each ends, by anchorName
}

// NewAnchors returns anchors that know the files; Reload reads the uploaded ones.
func NewAnchors(cfg AnchorsConfig) *Anchors {
	a := &Anchors{cfg: cfg}
	a.UseFiles(cfg.Files)
	return a
}

// UseFiles replaces the certificates that come from files.
func (a *Anchors) UseFiles(certs []*x509.Certificate) {
	a.loading.Lock()
	defer a.loading.Unlock()
	a.files = certs
	a.view.Store(newAnchorView(slices.Concat(a.files, a.stored)))
}

func newAnchorView(certs []*x509.Certificate) *anchorView {
	v := &anchorView{certs: certs, pool: x509.NewCertPool(), until: make(map[string]time.Time, len(certs))}
	for _, c := range certs {
		v.pool.AddCert(c)
		name := anchorName(c)
		if c.NotAfter.After(v.until[name]) {
			v.until[name] = c.NotAfter
		}
	}
	return v
}

// Reload reads the uploaded anchors. A registry.Follower calls it; see OnChange.
func (a *Anchors) Reload(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	stored, err := a.cfg.Store.Anchors(ctx)
	if err != nil {
		return err
	}
	certs := make([]*x509.Certificate, 0, len(stored))
	for _, s := range stored {
		c, err := parseAnchor(s)
		if err != nil {
			return err
		}
		certs = append(certs, c)
	}
	a.stored = certs
	a.view.Store(newAnchorView(slices.Concat(a.files, a.stored)))
	return nil
}

// Pool returns the CA certificates that are trusted now. It must not be changed.
func (a *Anchors) Pool() *x509.CertPool { return a.view.Load().pool }

// Certificates returns the CA certificates that are trusted, also those that are outside
// their validity, below which nothing verifies. They must not be changed.
func (a *Anchors) Certificates() []*x509.Certificate { return a.view.Load().certs }

// Until implements registry.TrustedAnchors.
func (a *Anchors) Until(anchor string) (end time.Time, ok bool) {
	end, ok = a.view.Load().until[anchor]
	return end, ok
}
