package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func TestRespond(t *testing.T) {
	a, other := newAuthorityAt(t, noon()), newAuthorityAt(t, noon())
	_, cert := issue(t, a, "gw-1", noon())
	_, foreign := issue(t, other, "gw-1", noon())
	revokedAt := noon().Add(-time.Hour)
	broken := errors.New("store is down")
	request := func(cert, issuer *x509.Certificate, hash crypto.Hash) []byte {
		t.Helper()
		der, err := ocsp.CreateRequest(cert, issuer, &ocsp.RequestOptions{Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ours := request(cert, a.chain[0], crypto.SHA1)
	// Same name, another key: both hashes must fit.
	sameName := *other.chain[0]
	sameName.RawSubject = a.chain[0].RawSubject
	sameKey := *a.chain[0]
	sameKey.RawSubject = other.chain[0].RawSubject

	for _, tt := range []struct {
		name    string
		request []byte
		status  Status
		fail    error
		want    int                 // when signed
		refused ocsp.ResponseStatus // otherwise
	}{
		{"good", ours, Status{State: StateGood}, nil, ocsp.Good, 0},
		{"good, issuer hashed with SHA-256", request(cert, a.chain[0], crypto.SHA256), Status{State: StateGood}, nil, ocsp.Good, 0},
		{"good, issuer hashed with SHA-512", request(cert, a.chain[0], crypto.SHA512), Status{State: StateGood}, nil, ocsp.Good, 0},
		{"revoked", ours, Status{StateRevoked, revokedAt, KeyCompromise}, nil, ocsp.Revoked, 0},
		{"revoked this very minute", ours, Status{StateRevoked, noon().Add(10 * time.Second), KeyCompromise}, nil, ocsp.Revoked, 0},
		{"unknown", ours, Status{}, nil, ocsp.Unknown, 0},
		{"a state that does not exist is unknown", ours, Status{State: 9}, nil, ocsp.Unknown, 0},
		{"store is down", ours, Status{State: StateGood}, broken, 0, ocsp.TryLater},
		{"revoked without a time", ours, Status{State: StateRevoked}, nil, 0, ocsp.InternalError},
		{"revoked for a reason that does not exist", ours, Status{StateRevoked, revokedAt, 7}, nil, 0, ocsp.InternalError},
		{"a foreign issuer", request(foreign, other.chain[0], crypto.SHA1), Status{State: StateGood}, nil, 0, ocsp.Unauthorized},
		{"our issuer's name, another key", request(cert, &sameName, crypto.SHA256), Status{State: StateGood}, nil, 0, ocsp.Unauthorized},
		{"our issuer's key, another name", request(cert, &sameKey, crypto.SHA256), Status{State: StateGood}, nil, 0, ocsp.Unauthorized},
		{"the root's question", request(a.chain[0], a.chain[1], crypto.SHA1), Status{State: StateGood}, nil, 0, ocsp.Unauthorized},
		{"empty", nil, Status{}, nil, 0, ocsp.Malformed},
		{"garbage", []byte("garbage"), Status{}, nil, 0, ocsp.Malformed},
		{"trailing bytes", append(bytes.Clone(ours), 0), Status{}, nil, 0, ocsp.Malformed},
		{"cut", ours[:len(ours)-1], Status{}, nil, 0, ocsp.Malformed},
		{"too long", make([]byte, MaxOCSPRequest+1), Status{}, nil, 0, ocsp.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der, err := a.Respond(tt.request, func(serial *big.Int) (Status, error) {
				if serial.Cmp(cert.SerialNumber) != 0 {
					t.Errorf("asked about %v, want %v", serial, cert.SerialNumber)
				}
				return tt.status, tt.fail
			}, noon().Add(30*time.Second))
			if ourFault := tt.refused == ocsp.TryLater || tt.refused == ocsp.InternalError; ourFault != (err != nil) || tt.fail != nil && !errors.Is(err, tt.fail) {
				t.Errorf("error for the log: %v", err)
			}
			res, err := ocsp.ParseResponseForCert(der, cert, a.chain[0])
			if tt.refused != 0 {
				if e, ok := errors.AsType[ocsp.ResponseError](err); !ok || e.Status != tt.refused {
					t.Errorf("got %v, want %v", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if res.Status != tt.want || !res.ThisUpdate.Equal(noon()) || !res.NextUpdate.Equal(noon().Add(30*time.Second+time.Hour)) {
				t.Errorf("status %d from %v to %v, want %d", res.Status, res.ThisUpdate, res.NextUpdate, tt.want)
			}
			if tt.want == ocsp.Revoked && (!res.RevokedAt.Equal(earlier(tt.status.RevokedAt, noon())) || res.RevocationReason != ocsp.KeyCompromise) {
				t.Errorf("revoked %v for %d", res.RevokedAt, res.RevocationReason)
			}
		})
	}
}

func TestRespondDoesNotLookUpNumbersThatCannotBeOurs(t *testing.T) {
	a := newAuthorityAt(t, noon())
	for name, serial := range map[string]*big.Int{
		"zero": new(big.Int), "negative": big.NewInt(-5), "21 bytes": new(big.Int).Lsh(big.NewInt(1), 160),
	} {
		asked := &x509.Certificate{SerialNumber: serial}
		req, err := ocsp.CreateRequest(asked, a.chain[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := a.Respond(req, func(*big.Int) (Status, error) {
			t.Errorf("%s: looked up", name)
			return Status{State: StateGood}, nil
		}, noon())
		if err != nil {
			t.Fatal(err)
		}
		if res, err := ocsp.ParseResponse(der, a.chain[0]); err != nil || res.Status != ocsp.Unknown {
			t.Errorf("%s: got %+v, %v; want unknown", name, res, err)
		}
	}
}

// TestOpensslAsksOurResponder runs over HTTP and in real time, since openssl
// compares the response with its own clock.
func TestOpensslAsksOurResponder(t *testing.T) {
	rsaCA := func(t *testing.T) *Authority {
		dir := t.TempDir()
		mustOpenssl(t, dir, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=Plant CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
		a, err := Import(Config{}, []byte(readFile(t, dir+"/ca.pem")), []byte(readFile(t, dir+"/key.pem")), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, authority := range map[string]func(*testing.T) *Authority{
		"own ECDSA authority":    func(t *testing.T) *Authority { return newAuthorityAt(t, time.Now()) },
		"imported RSA authority": rsaCA,
	} {
		t.Run(name, func(t *testing.T) {
			a := authority(t)
			now := time.Now()
			good, _ := issue(t, a, "gw-1", now)
			bad, _ := issue(t, a, "gw-2", now)
			lost, _ := issue(t, a, "gw-3", now)
			status := map[string]Status{
				good.Serial: {State: StateGood},
				bad.Serial:  {StateRevoked, now.Add(-time.Minute), Superseded},
			}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				der, err := a.Respond(body, func(serial *big.Int) (Status, error) { return status[FormatSerial(serial)], nil }, time.Now())
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", "application/ocsp-response")
				_, _ = w.Write(der)
			}))
			defer srv.Close()

			dir := t.TempDir()
			writeFile(t, dir, "root.pem", a.RootPEM())
			writeFile(t, dir, "issuing.pem", a.ChainPEM())
			for _, tt := range []struct {
				name string
				pem  string
				args []string
				want string
			}{
				{"good", good.PEM, nil, "leaf.pem: good"},
				{"good without a nonce", good.PEM, []string{"-no_nonce"}, "leaf.pem: good"},
				{"good by SHA-256", good.PEM, []string{"-sha256"}, "leaf.pem: good"},
				{"revoked", bad.PEM, nil, "leaf.pem: revoked"},
				{"unknown", lost.PEM, nil, "leaf.pem: unknown"},
			} {
				args := append([]string{"ocsp", "-url", srv.URL, "-CAfile", "root.pem", "-issuer", "issuing.pem"}, tt.args...)
				out := mustOpenssl(t, dir, append(args, "-cert", writeFile(t, dir, "leaf.pem", tt.pem))...)
				if !strings.Contains(out, "Response verify OK") || !strings.Contains(out, tt.want) {
					t.Errorf("%s: openssl says\n%s", tt.name, out)
				}
				if tt.name == "revoked" && !strings.Contains(out, "Reason: superseded") {
					t.Errorf("openssl shows no reason:\n%s", out)
				}
			}
		})
	}
}

// FuzzRespond: every response can be read, and none says "good" about a number
// that lookup did not call good.
func FuzzRespond(f *testing.F) {
	a := newAuthorityAt(f, noon())
	_, cert := issue(f, a, "gw-1", noon())
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		req, err := ocsp.CreateRequest(cert, a.chain[0], &ocsp.RequestOptions{Hash: h})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(req)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		var called *big.Int
		der, err := a.Respond(request, func(serial *big.Int) (Status, error) {
			called = serial
			return Status{State: StateGood}, nil
		}, noon())
		if err != nil {
			t.Fatal(err)
		}
		res, err := ocsp.ParseResponse(der, a.chain[0])
		if _, refused := errors.AsType[ocsp.ResponseError](err); refused {
			return
		}
		if err != nil {
			t.Fatalf("response cannot be read: %v", err)
		}
		if res.Status == ocsp.Good && (called == nil || called.Cmp(res.SerialNumber) != 0) {
			t.Errorf("good for %v, asked about %v", res.SerialNumber, called)
		}
	})
}
