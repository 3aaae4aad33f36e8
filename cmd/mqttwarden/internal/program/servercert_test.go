package program

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mqttwarden/registry/ca"
	"mqttwarden/registry/logtest"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// listenersAt returns the certificate of listeners at a time, of an authority that was
// made at noon.
func listenersAt(t *testing.T, dir string, authority *ca.Authority, now time.Time) (*serverCertificate, *logtest.Buffer) {
	t.Helper()
	log, told := logtest.New()
	s := newOwnCertificate(dir, []string{"localhost"}, log)
	s.own.authority, s.own.now = func() *ca.Authority { return authority }, func() time.Time { return now }
	if err := s.renew(t.Context()); err != nil {
		t.Fatalf("at %s: %v", now, err)
	}
	return s, told
}

// TestListenersStartWithAnAuthorityThatTimeHasEnded: an imported authority can't be
// renewed here, and the clock of a small computer may be anywhere.
func TestListenersStartWithAnAuthorityThatTimeHasEnded(t *testing.T) {
	authority, _, err := ca.Create(ca.Config{}, noon())
	if err != nil {
		t.Fatal(err)
	}
	for name, now := range map[string]time.Time{"expired": noon().AddDate(20, 0, 0), "before it began": time.Unix(0, 0)} {
		dir := t.TempDir()
		s, told := listenersAt(t, dir, authority, now)
		if _, err := s.get(new(tls.ClientHelloInfo)); !errors.Is(err, errNothingToShow) {
			t.Errorf("%s, and no certificate: %v, want %v", name, err, errNothingToShow)
		}
		if told.Count("refuse every handshake") != 1 {
			t.Errorf("%s, and no certificate: told %s", name, told)
		}
		first, _ := listenersAt(t, dir, authority, noon())
		then, _ := listenersAt(t, dir, authority, now)
		if want, got := first.chains()[0], then.chains(); len(got) == 0 || !got[0].Equal(want) {
			t.Errorf("%s: the certificate that is there is not shown: %v", name, got)
		}
	}
}

// TestRSAKeyIsMadeOnceAndBesideTheStart: making it takes seconds on a small machine, so
// the listeners do not wait for it, and no renewal makes another.
func TestRSAKeyIsMadeOnceAndBesideTheStart(t *testing.T) {
	authority, _, err := ca.Create(ca.Config{}, noon())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, _ := listenersAt(t, dir, authority, noon())
	if n := len(s.certificates()); n != 1 {
		t.Fatalf("%d certificates at the start, want that of the usual kind alone", n)
	}
	s.addTwin(t.Context())
	twin := func(s *serverCertificate) *x509.Certificate {
		t.Helper()
		if n := len(s.certificates()); n != 2 {
			t.Fatalf("%d certificates, want two", n)
		}
		return s.certificates()[1].Leaf
	}
	first := twin(s)
	again, _ := listenersAt(t, dir, authority, noon().AddDate(0, 0, 1))
	if !twin(again).Equal(first) {
		t.Error("the next start issues another certificate")
	}
	renewed, _ := listenersAt(t, dir, authority, noon().AddDate(0, 11, 0))
	if twin(renewed).Equal(first) || !first.PublicKey.(*rsa.PublicKey).Equal(twin(renewed).PublicKey) {
		t.Error("at the end of its life it is not renewed with the same key")
	}
	if err := os.WriteFile(filepath.Join(dir, "server-rsa.key"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged, _ := listenersAt(t, dir, authority, noon())
	if n := len(damaged.certificates()); n != 1 {
		t.Errorf("%d certificates with a damaged RSA key, want one", n)
	}
	damaged.addTwin(t.Context())
	if twin(damaged).PublicKey.(*rsa.PublicKey).Equal(first.PublicKey) {
		t.Error("the damaged key is not replaced")
	}
}
