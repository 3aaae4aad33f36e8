package program

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mqttwarden/registry/durable"

	"mqttwarden/registry/ca"
)

// serverCertificate is the certificate of the TLS listeners, from the files in the
// settings or, without any, issued by our own CA into the data directory.
type serverCertificate struct {
	files    keyPair
	own      *ownCertificate // nil: the files are the operator's
	renewing sync.Mutex
	shown    atomic.Pointer[[]*tls.Certificate] // the first that a client can use is shown
}

// newServerCertificate returns the certificate of the TLS listeners, nil without any.
// There is none to show before renew.
func newServerCertificate(c config, log *slog.Logger) *serverCertificate {
	switch {
	case c.mqtts == "" && c.wss == "" && c.https == "":
		return nil
	case c.tlsCert != "":
		return &serverCertificate{files: keyPair{c.tlsCert, c.tlsKey}}
	default:
		return newOwnCertificate(c.dataDir, listenerHosts(c), log)
	}
}

// newOwnCertificate returns a certificate that has no authority yet to issue it.
func newOwnCertificate(dir string, hosts []string, log *slog.Logger) *serverCertificate {
	in := func(name string) keyPair {
		return keyPair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	}
	return &serverCertificate{files: in("server"), own: &ownCertificate{twin: in("server-rsa"), hosts: hosts, now: time.Now, log: log}}
}

var errNothingToShow = errors.New("there is no certificate to show: the certificate authority is outside its validity")

// get returns the certificate for a client. What name the client asks for does not
// matter.
func (s *serverCertificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	shown := s.certificates()
	switch len(shown) {
	case 0:
		return nil, errNothingToShow
	case 1:
		return shown[0], nil
	}
	asked := *hello
	asked.ServerName = ""
	for _, cert := range shown {
		if asked.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return shown[0], nil
}

// certificates returns what may be shown.
func (s *serverCertificate) certificates() []*tls.Certificate {
	if shown := s.shown.Load(); shown != nil {
		return *shown
	}
	return nil
}

// chains returns the certificates that may be shown, each followed by its chain.
func (s *serverCertificate) chains() []*x509.Certificate {
	var all []*x509.Certificate
	for _, cert := range s.certificates() {
		for _, der := range cert.Certificate {
			if c, err := x509.ParseCertificate(der); err == nil {
				all = append(all, c)
			}
		}
	}
	return all
}

func (s *serverCertificate) show(certs ...*tls.Certificate) { s.shown.Store(&certs) }

// renew reads the certificate again, and issues one where it is ours to do.
func (s *serverCertificate) renew(context.Context) error {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	if s.own != nil {
		return s.renewOwn()
	}
	cert, err := s.files.load()
	if err != nil {
		return fmt.Errorf("tls-cert, tls-key: %w", err)
	}
	s.show(cert)
	return nil
}

// renewOwn keeps the listeners open whatever the clock says: nobody should have to
// find out by a start that fails.
func (s *serverCertificate) renewOwn() error {
	cert, err := s.own.keep(s.files, ca.NewServerKey)
	if outsideTime(err) {
		s.own.log.Error("the TLS listeners refuse every handshake: they have no certificate", "err", err)
		s.show()
		return nil
	}
	if err != nil {
		return fmt.Errorf("issue a certificate for the listeners: %w", err)
	}
	shown := []*tls.Certificate{cert}
	if key, err := s.own.twinKey(); err == nil {
		twin, err := s.own.keep(s.own.twin, func() (crypto.Signer, error) { return key, nil })
		if err == nil {
			shown = append(shown, twin)
		} else {
			s.own.log.Error("TLS clients that know RSA alone are refused: there is no certificate for them", "err", err)
		}
	}
	s.show(shown...)
	return nil
}

// addTwin makes the key of the RSA certificate, if there is none, and shows the
// certificate from then on. The key is made once: that takes long.
func (s *serverCertificate) addTwin(ctx context.Context) {
	if _, err := s.own.twinKey(); err == nil {
		return
	}
	err := s.own.makeTwinKey()
	if err == nil {
		err = s.renew(ctx)
	}
	if err != nil {
		s.own.log.Error("TLS clients that know RSA alone are refused: there is no certificate for them", "err", err)
		return
	}
	s.own.log.Info("TLS clients that know RSA alone have a certificate now", "file", s.own.twin.certFile)
}

// ownCertificate is what our own CA needs to issue the certificate of the listeners, and
// its twin with an RSA key: an RSA key of 2048 bits costs the server twenty times as much
// for each handshake, and some clients know no other.
type ownCertificate struct {
	twin      keyPair
	authority func() *ca.Authority
	hosts     []string
	now       func() time.Time
	log       *slog.Logger
}

// keep returns the certificate in files. It issues another one when there is none, when a
// third of its life is left, when it lacks a host, or when the authority is another. While
// the authority is outside its validity, the one that is there stays.
func (o *ownCertificate) keep(files keyPair, newKey func() (crypto.Signer, error)) (*tls.Certificate, error) {
	cert, missing := files.load()
	if missing == nil && o.lasts(cert.Leaf) {
		return cert, nil
	}
	err := o.issue(files, newKey)
	switch {
	case err == nil:
		return files.load()
	case outsideTime(err) && missing == nil:
		return cert, nil
	}
	return nil, err
}

func (o *ownCertificate) lasts(leaf *x509.Certificate) bool {
	now, life := o.now(), leaf.NotAfter.Sub(leaf.NotBefore)
	if now.Before(leaf.NotBefore) || leaf.NotAfter.Sub(now) < life/3 || leaf.CheckSignatureFrom(o.authority().Certificates()[0]) != nil {
		return false
	}
	return !slices.ContainsFunc(o.hosts, func(h string) bool { return leaf.VerifyHostname(h) != nil })
}

func (o *ownCertificate) issue(files keyPair, newKey func() (crypto.Signer, error)) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	made, err := o.authority().IssueServer(key, o.hosts, o.now())
	if err != nil {
		return err
	}
	return files.write(made)
}

// outsideTime reports whether nothing can be issued because of what the clock says.
func outsideTime(err error) bool {
	return errors.Is(err, ca.ErrExpired) || errors.Is(err, ca.ErrNotYetValid)
}

// twinKey reads the RSA key.
func (o *ownCertificate) twinKey() (crypto.Signer, error) {
	text, err := os.ReadFile(o.twin.keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM form", o.twin.keyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.twin.keyFile, err)
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is no RSA key", o.twin.keyFile)
	}
	return rsaKey, nil
}

// makeTwinKey makes the RSA key and writes it.
func (o *ownCertificate) makeTwinKey() error {
	key, err := ca.NewRSAServerKey()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return durable.Write(o.twin.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
