package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/registrytest"
)

// renewed returns an authority again with the same key and name, in another
// certificate that is good for life.
func renewed(r *registrytest.Rig, c registrytest.OutsideCA, life time.Duration) registrytest.OutsideCA {
	r.T.Helper()
	next := registrytest.OutsideCA{Key: c.Key}
	next.Cert = registrytest.Sign(r.T, &x509.Certificate{
		SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: c.Cert.Subject.CommonName}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: c.Cert.SubjectKeyId,
		NotBefore: r.Now().Add(-time.Hour), NotAfter: r.Now().Add(life),
	}, nil, &c.Key.PublicKey, c.Key)
	return next
}

func distrust(r *registrytest.Rig, id registry.AnchorID) {
	r.T.Helper()
	_, err := r.PKI.DeleteAnchor(r.T.Context(), r.Admin, id)
	registrytest.Must(r.T, err)
	registrytest.Must(r.T, r.PKI.Trust().Reload(r.T.Context()))
}

// TestASessionRestsOnAnyAnchorOfItsCertificate is R3: an old and a new root with the
// same key and name.
func TestASessionRestsOnAnyAnchorOfItsCertificate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later bool // the new root is uploaded after the sign-in
	}{{"both are trusted at the sign-in", false}, {"the new one comes after it", true}} {
		t.Run(tt.name, func(t *testing.T) {
			r := registrytest.New(t)
			u := byName(r, "gateway")
			old := r.NewOutsideCA("Plant CA")
			fresh := renewed(r, old, 100*time.Hour)
			client := old.Client(r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.Now().Add(1000 * time.Hour) })
			oldID := trust(r, old).ID
			if !tt.later {
				trust(r, fresh)
			}
			login, err := r.LoginWith(client)
			registrytest.Must(t, err)
			var freshID registry.AnchorID
			if tt.later {
				freshID = trust(r, fresh).ID
			}
			ends := func() time.Time { return login.Proof.Ends(r.Principal(u.ID)) }
			if !ends().Equal(fresh.Cert.NotAfter) {
				t.Errorf("it ends at %v, want the latest end, %v", ends(), fresh.Cert.NotAfter)
			}
			distrust(r, oldID)
			if !r.Holds(login) || !ends().Equal(fresh.Cert.NotAfter) {
				t.Errorf("without the old root it holds: %v, and ends at %v", r.Holds(login), ends())
			}
			if tt.later {
				distrust(r, freshID)
				if r.Holds(login) {
					t.Error("it holds though no root is left")
				}
			}
		})
	}
}

func TestASessionEndsWithTheLastAnchorThatIsLeft(t *testing.T) {
	r := registrytest.New(t)
	u := byName(r, "gateway")
	old := r.NewOutsideCA("Plant CA")
	fresh := renewed(r, old, 100*time.Hour)
	client := old.Client(r, "gateway", func(c *x509.Certificate) { c.NotAfter = r.Now().Add(1000 * time.Hour) })
	trust(r, old)
	freshID := trust(r, fresh).ID
	login, err := r.LoginWith(client)
	registrytest.Must(t, err)
	distrust(r, freshID)
	if ends := login.Proof.Ends(r.Principal(u.ID)); !r.Holds(login) || !ends.Equal(old.Cert.NotAfter) {
		t.Errorf("holds: %v, ends %v; want the end of the old root, %v", r.Holds(login), ends, old.Cert.NotAfter)
	}
	r.Turn(25 * time.Hour)
	if r.Holds(login) || !login.Proof.Rests(r.Principal(u.ID), r.Now()) {
		t.Error("past its end it should have ended by itself, with nothing taken from its user")
	}
}

// A root with the same name and another key vouches for nothing, nor does one that
// may sign less.
func TestAnotherKeyIsAnotherAnchor(t *testing.T) {
	r := registrytest.New(t)
	byName(r, "gateway")
	old := r.NewOutsideCA("Plant CA")
	id := trust(r, old).ID
	login, err := r.LoginWith(old.Client(r, "gateway", nil))
	registrytest.Must(t, err)
	trust(r, r.NewOutsideCA("Plant CA"))
	narrow := registrytest.OutsideCA{Key: old.Key}
	narrow.Cert = registrytest.Sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(9), Subject: old.Cert.Subject, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: old.Cert.SubjectKeyId,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore:   r.Now().Add(-time.Hour), NotAfter: r.Now().Add(time.Hour),
	}, nil, &old.Key.PublicKey, old.Key)
	trust(r, narrow)
	distrust(r, id)
	if r.Holds(login) {
		t.Error("the session rests on a CA that did not vouch for it")
	}
}
