package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartTLS is Start of a server that wants TLS. It returns the file with the
// certificate that verifies the server's, which is that one itself.
func StartTLS(tb testing.TB) (*Server, string) {
	tb.Helper()
	s := Start(tb)
	s.Stop()
	cert, key, err := selfSigned()
	if err == nil {
		err = errors.Join(
			s.write("server.crt", cert), s.write("server.key", key),
			s.write("pg_hba.conf", []byte("hostssl all all 127.0.0.1/32 trust\n")),
		)
	}
	ca := filepath.Join(tb.TempDir(), "ca.crt")
	if err == nil {
		err = os.WriteFile(ca, cert, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.sslmode = "require"
	if err := s.Start("ssl=on"); err != nil {
		tb.Fatal(err)
	}
	return s, ca
}

// write puts a file into the data directory.
func (s *Server) write(name string, content []byte) error {
	path := filepath.Join(s.data(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	if s.as == nil {
		return nil
	}
	return os.Chown(path, int(s.as.Uid), int(s.as.Gid))
}

func selfSigned() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
