package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/flight"
)

const (
	// crlTTL is how long a list is served before the store is asked again.
	crlTTL = 5 * time.Second

	// crlKeep is how long an expired certificate stays in the lists: at least one list
	// must name it after it has expired (RFC 5280 section 3.3).
	crlKeep = 400 * 24 * time.Hour
)

// crlPatience bounds how long a list may take to be looked for, however many wait.
const crlPatience = 10 * time.Second

// crls keeps the last list of each generation. Nobody waits for the store with the
// mutex held: one looks, and those who come meanwhile get what it finds.
type crls struct {
	looking flight.Group[*crl] // by generation
	mu      sync.Mutex
	last    map[uint64]*crl // which is not changed
}

type crl struct {
	der     []byte
	revoked []ca.Revoked // what it says, by serial
	checked time.Time
	renew   time.Time // when half of its validity is over
}

// CRL returns the revocation list (DER, RFC 5280) of one generation of our
// authority, 0 for the current one. A revocation is in it within seconds. It
// returns NotFound when there is no such generation.
func (s *Service) CRL(ctx context.Context, generation uint64) ([]byte, error) {
	g, err := s.generation(generation)
	if err != nil {
		return nil, err
	}
	if last := s.crls.get(g.number); last != nil && last.serves(s.now()) {
		return last.der, nil
	}
	list, err := s.crls.looking.Do(ctx, strconv.FormatUint(g.number, 10), crlPatience, func(ctx context.Context) (*crl, error) {
		return s.lookForCRL(ctx, g)
	})
	if err != nil {
		return nil, err
	}
	return list.der, nil
}

// lookForCRL returns the list that stands, or a new one if something was revoked or
// half of its validity is over.
func (s *Service) lookForCRL(ctx context.Context, g generation) (*crl, error) {
	now, last := s.now(), s.crls.get(g.number)
	revoked, err := revocations(ctx, s.cfg.Store, g.number, now)
	if err != nil {
		return nil, err
	}
	if last != nil && now.Before(last.renew) && slices.EqualFunc(revoked, last.revoked, sameRevocation) {
		same := *last
		same.checked = now
		return s.crls.put(g.number, &same), nil
	}
	next, err := s.newCRL(ctx, g, now)
	if err != nil {
		return nil, err
	}
	return s.crls.put(g.number, next), nil
}

// serves reports whether the store need not be asked.
func (c *crl) serves(now time.Time) bool {
	return now.Before(c.renew) && now.Sub(c.checked).Abs() < crlTTL
}

func (c *crls) get(generation uint64) *crl {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[generation]
}

func (c *crls) put(generation uint64, list *crl) *crl {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[generation] = list
	return list
}

// newCRL signs the next list. Its entries and its number come from one transaction,
// so that a list with a higher number never lacks a revocation of an earlier one.
func (s *Service) newCRL(ctx context.Context, g generation, now time.Time) (*crl, error) {
	next := &crl{checked: now}
	var number uint64
	_, err := s.cfg.Editor.Do(ctx, registry.System("upkeep"), func(ctx context.Context, e *registry.Edit) (err error) {
		if number, err = e.NextCRL(ctx, g.number, uint64(max(now.Unix(), 1))); err != nil { // #nosec G115 -- positive
			return err
		}
		next.revoked, err = revocations(ctx, e, g.number, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	if next.der, err = g.authority.CRL(next.revoked, number, now); err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(next.der)
	if err != nil {
		return nil, fmt.Errorf("pki: read a new CRL: %w", err)
	}
	next.renew = now.Add(list.NextUpdate.Sub(now) / 2)
	return next, nil
}

func revocations(ctx context.Context, store registry.IssuedReader, generation uint64, now time.Time) ([]ca.Revoked, error) {
	revoked, err := store.Revocations(ctx, generation, now.Add(-crlKeep))
	slices.SortFunc(revoked, func(a, b ca.Revoked) int { return a.Serial.Cmp(b.Serial) })
	return revoked, err
}

func sameRevocation(a, b ca.Revoked) bool {
	return a.Serial.Cmp(b.Serial) == 0 && a.At.Equal(b.At) && a.Reason == b.Reason
}

// OCSP answers an OCSP request (DER, RFC 6960) about what any generation of our
// authority issued. Whatever the error, which is for the log, the response is
// fit to be sent.
func (s *Service) OCSP(ctx context.Context, request []byte) ([]byte, error) {
	for _, g := range s.issuer.newestFirst() {
		lookup := func(serial *big.Int) (ca.Status, error) { return s.certificateStatus(ctx, g.number, serial) }
		response, err := g.authority.Respond(request, lookup, s.now())
		if err != nil || !bytes.Equal(response, ocsp.UnauthorizedErrorResponse) {
			return response, err
		}
	}
	return ocsp.UnauthorizedErrorResponse, nil
}

func (s *Service) certificateStatus(ctx context.Context, generation uint64, serial *big.Int) (ca.Status, error) {
	c, err := s.cfg.Store.IssuedBySerial(ctx, ca.FormatSerial(serial))
	switch {
	case errors.Is(err, registry.NotFound), err == nil && c.Authority != generation:
		return ca.Status{State: ca.StateUnknown}, nil
	case err != nil:
		return ca.Status{}, err
	case c.Revoked.IsZero():
		return ca.Status{State: ca.StateGood}, nil
	default:
		return ca.Status{State: ca.StateRevoked, RevokedAt: c.Revoked, Reason: c.Reason}, nil
	}
}

// AuthorityPEM returns the chain of one generation of our authority, 0 for the
// current one: the issuing certificate, those above it, the root. It returns
// NotFound when there is no such generation.
func (s *Service) AuthorityPEM(generation uint64) (string, error) {
	g, err := s.generation(generation)
	if err != nil {
		return "", err
	}
	return g.authority.ChainPEM(), nil
}

// generation returns one generation of our authority, the current one for 0.
func (s *Service) generation(number uint64) (generation, error) {
	for _, g := range s.issuer.newestFirst() {
		if number == 0 || g.number == number {
			return g, nil
		}
	}
	return generation{}, registry.Errorf(registry.NotFound, "", "there is no generation %d of the certificate authority", number)
}
