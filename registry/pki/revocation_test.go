package pki_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mqttwarden/registry/ca"
	"mqttwarden/registry/pki"
	"mqttwarden/registry/registrytest"
)

// slowStore answers questions about revocations when it is told to.
type slowStore struct {
	pki.Store
	asked chan struct{} // takes one for each question
	ready chan struct{}
}

func (s *slowStore) Revocations(ctx context.Context, generation uint64, since time.Time) ([]ca.Revoked, error) {
	s.asked <- struct{}{}
	select {
	case <-s.ready:
		return s.Store.Revocations(ctx, generation, since)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Whoever asks for a list while the store is slow waits no longer than they want to,
// and takes nobody else's answer away.
func TestNobodyWaitsForAListThatAnotherOneAskedFor(t *testing.T) {
	r := registrytest.New(t)
	slow := &slowStore{Store: r.Store, asked: make(chan struct{}, 10), ready: make(chan struct{})}
	service, err := pki.Open(t.Context(), pki.Config{Editor: r.Editor, Store: slow, Keys: r.Keys, Now: r.Now})
	registrytest.Must(t, err)
	first, leave := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := service.CRL(first, 0)
		gaveUp <- err
	}()
	<-slow.asked
	second := make(chan error)
	go func() {
		_, err := service.CRL(t.Context(), 0)
		second <- err
	}()
	leave()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up got %v", err)
	}
	close(slow.ready)
	if err := <-second; err != nil {
		t.Errorf("who waits got %v", err)
	}
}
