package registry_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/registrytest"
)

// plant is a rig with a trusted CA, of which bob and mallory have certificates. Both
// may sign in with a password or a certificate; mallory may change herself.
type plant struct {
	*registrytest.Rig
	ca           registrytest.OutsideCA
	bob, mallory registry.User
	bobs         *x509.Certificate
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{Rig: registrytest.New(t)}
	p.ca = p.NewOutsideCA("Plant CA")
	p.trust(p.ca)
	p.bob = p.device("bob")
	p.mallory = p.device("mallory", p.Role("self-service", registrytest.HTTP(acl.ReadWrite, "/api/users/#")))
	p.bobs = p.ca.Client(p.Rig, "bob", nil)
	return p
}

func (p *plant) trust(c registrytest.OutsideCA) {
	p.T.Helper()
	_, _, err := p.PKI.AddAnchors(p.T.Context(), p.Admin, c.PEM())
	registrytest.Must(p.T, err)
	registrytest.Must(p.T, p.PKI.Trust().Reload(p.T.Context()))
}

// device makes a user that signs in with a password or a certificate.
func (p *plant) device(name string, roles ...registry.RoleID) registry.User {
	p.T.Helper()
	u, _, err := p.Service.CreateUser(p.T.Context(), p.Admin, registry.UserSpec{
		Username: name, Provider: registry.ProviderLocal, Password: name + "-secret", Roles: roles,
		GrantTypes: []registry.GrantType{{Method: registry.MethodPassword}, {Method: registry.MethodCertificate}},
	})
	registrytest.Must(p.T, err)
	return u
}

// register has a caller, who shows what is given or nothing, register a certificate.
func (p *plant) register(by registry.Caller, shown *x509.Certificate, u registry.User, c *x509.Certificate) error {
	if shown != nil {
		by.Certificate = p.Shown(shown)
	}
	_, err := p.Service.AddFingerprint(p.T.Context(), by, u.ID, registry.FingerprintSpec{Fingerprint: ca.Fingerprint(c)})
	return err
}

func (p *plant) remove(u registry.User, c *x509.Certificate) {
	p.T.Helper()
	_, err := p.Service.RemoveFingerprint(p.T.Context(), p.Admin, u.ID, ca.Fingerprint(c))
	registrytest.Must(p.T, err)
}

func TestAFingerprintIsNoProof(t *testing.T) {
	p := newPlant(t)
	mallory := p.CallerNamed("mallory")
	own := p.ca.Client(p.Rig, "mallory", nil)
	selfSigned := p.NewOutsideCA("Nobody's").Client(p.Rig, "whatever", nil)
	for _, tt := range []struct {
		name  string
		by    registry.Caller
		shown *x509.Certificate
		of    *x509.Certificate
		code  registry.Code
	}{
		{"somebody else's, by its fingerprint", mallory, nil, p.bobs, registry.Forbidden},
		{"somebody else's, showing another one", mallory, own, p.bobs, registry.Forbidden},
		{"somebody else's, showing it", mallory, p.bobs, p.bobs, registry.Conflict},
		{"somebody else's, shown by an administrator", p.Admin, p.bobs, p.bobs, registry.Conflict},
		{"one's own, without showing it", mallory, nil, own, registry.Forbidden},
		{"one's own, showing it", mallory, own, own, ""},
		{"one that nobody vouches for, showing it", mallory, selfSigned, selfSigned, ""},
	} {
		registrytest.WantCode(t, tt.name, p.register(tt.by, tt.shown, p.mallory, tt.of), tt.code)
	}
	_, _, err := p.Service.UpdateUser(t.Context(), mallory, p.mallory.ID, registry.UserUpdate{Username: new("mallory2")})
	registrytest.Must(t, err)
}

// An administrator may register what they have not seen; what it names decides then.
func TestACertificateThatIsRegisteredForOneAndNamesAnotherSignsNobodyIn(t *testing.T) {
	p := newPlant(t)
	registrytest.Must(t, p.register(p.Admin, nil, p.mallory, p.bobs))
	for _, name := range []string{"", "bob", "mallory"} {
		_, err := p.SignIn.In(t.Context(), registry.Attempt{Username: name, Certificate: p.Shown(p.bobs)})
		registrytest.WantCode(t, "as "+name, err, registry.Forbidden)
		if err == nil || !strings.Contains(err.Error(), "bob") || !strings.Contains(err.Error(), "mallory") {
			t.Errorf("the log does not say who: %v", err)
		}
		if _, _, told := registry.Public(err); strings.Contains(told, "bob") || strings.Contains(told, "mallory") {
			t.Errorf("the client is told who: %s", told)
		}
	}
	p.remove(p.mallory, p.bobs)
	if _, err := p.LoginWith(p.bobs); err == nil {
		t.Error("what was taken from mallory is bob's by its name again, and nobody said so")
	}
	registrytest.Must(t, p.register(p.Admin, nil, p.bob, p.bobs))
	login, err := p.LoginWith(p.bobs)
	if err != nil || login.Subject.ID() != p.bob.ID {
		t.Errorf("once it is registered for bob: %v", err)
	}
}

// TestACertificateThatNamesSomebodyElse is A14.
func TestACertificateThatNamesSomebodyElse(t *testing.T) {
	p := newPlant(t)
	deviceUser, devices := p.Device("device")
	for _, tt := range []struct {
		name string
		of   *x509.Certificate
		code registry.Code
	}{
		{"another user, under an anchor", p.bobs, registry.Forbidden},
		{"another user, of our own authority", devices, registry.Forbidden},
		{"nobody", p.ca.Client(p.Rig, "stranger", nil), ""},
		{"another user, and nobody vouches for it", p.NewOutsideCA("Nobody's").Client(p.Rig, "bob", nil), ""},
		{"the same user", p.ca.Client(p.Rig, "mallory", nil), ""},
	} {
		_, err := p.SignIn.In(t.Context(), registry.Attempt{
			Username: "mallory", Password: "mallory-secret", HasPassword: true, Certificate: p.Shown(tt.of),
		})
		registrytest.WantCode(t, "a certificate that names "+tt.name, err, tt.code)
	}
	_, err := p.Service.RemoveFingerprint(t.Context(), p.Admin, deviceUser.ID, ca.Fingerprint(devices))
	registrytest.Must(t, err)
	_, err = p.SignIn.In(t.Context(), registry.Attempt{
		Username: "mallory", Password: "mallory-secret", HasPassword: true, Certificate: p.Shown(devices),
	})
	registrytest.WantCode(t, "one of ours that is revoked", err, registry.Forbidden)
}

// TestARemovedCertificateStaysOut is A11.
func TestARemovedCertificateStaysOut(t *testing.T) {
	p := newPlant(t)
	ctx := t.Context()
	another := p.ca.Client(p.Rig, "bob", nil)
	registrytest.Must(t, p.register(p.Admin, nil, p.bob, p.bobs))
	login, err := p.LoginWith(p.bobs)
	registrytest.Must(t, err)
	p.remove(p.bob, p.bobs)
	refused := func(when string, c *x509.Certificate) {
		t.Helper()
		if p.Holds(login) {
			t.Errorf("%s: its session holds", when)
		}
		_, err := p.LoginWith(c)
		registrytest.WantCode(t, when, err, registry.Forbidden)
	}
	refused("removed", p.bobs)
	refused("removed, another one with the same name", another)

	unpin := func(by registry.Caller) error {
		_, _, err := p.Service.UpdateUser(ctx, by, p.bob.ID, registry.UserUpdate{Pinned: new(false)})
		return err
	}
	registrytest.Must(t, unpin(p.Admin))
	if _, err := p.LoginWith(another); err != nil {
		t.Errorf("another one, when the name decides again: %v", err)
	}
	_, err = p.LoginWith(p.bobs)
	registrytest.WantCode(t, "the removed one, when the name decides again", err, registry.Forbidden)
	recalled, err := p.SignIn.Recall(ctx, p.bob.ID, login.Proof)
	if err != nil || p.Holds(recalled) {
		t.Errorf("a session from before a restart holds: %v", err)
	}

	_, err = p.Service.DeleteUser(ctx, p.Admin, p.bob.ID)
	registrytest.Must(t, err)
	p.bob = p.device("bob")
	_, err = p.LoginWith(p.bobs)
	registrytest.WantCode(t, "by the name of a user that was made anew", err, registry.Forbidden)

	registrytest.Must(t, p.register(p.Admin, nil, p.bob, p.bobs))
	if _, err := p.LoginWith(p.bobs); err != nil {
		t.Errorf("registered again: %v", err)
	}
	registrytest.WantCode(t, "unpinned while one is registered", unpin(p.Admin), registry.Conflict)
}

func TestUsersDoNotUndoTheRemovalOfTheirCertificates(t *testing.T) {
	p := newPlant(t)
	mallory := p.CallerNamed("mallory")
	own := p.ca.Client(p.Rig, "mallory", nil)
	registrytest.Must(t, p.register(p.Admin, nil, p.mallory, own))
	p.remove(p.mallory, own)
	registrytest.WantCode(t, "registers it again, showing it", p.register(mallory, own, p.mallory, own), registry.Forbidden)
	_, _, err := p.Service.UpdateUser(t.Context(), mallory, p.mallory.ID, registry.UserUpdate{Pinned: new(false)})
	registrytest.WantCode(t, "has the name decide again", err, registry.Forbidden)
	_, _, err = p.Service.UpdateUser(t.Context(), mallory, p.mallory.ID, registry.UserUpdate{Pinned: new(true)})
	registrytest.Must(t, err)
}

// A user that goes leaves no certificate that is the next one's of that name.
func TestTheCertificatesOfADeletedUserStayOut(t *testing.T) {
	p := newPlant(t)
	registrytest.Must(t, p.register(p.Admin, nil, p.bob, p.bobs))
	_, err := p.Service.DeleteUser(t.Context(), p.Admin, p.bob.ID)
	registrytest.Must(t, err)
	p.device("bob")
	_, err = p.LoginWith(p.bobs)
	registrytest.WantCode(t, "of the user that was deleted", err, registry.Forbidden)
}

// TestNobodyVouchesForTheNameInASelfSignedCertificate is about ${cert.cn}.
func TestNobodyVouchesForTheNameInASelfSignedCertificate(t *testing.T) {
	p := newPlant(t)
	_, ours := p.Device("device")
	selfSigned, stranger := p.NewOutsideCA("Nobody's").Client(p.Rig, "bob", nil), p.ca.Client(p.Rig, "stranger", nil)
	for _, c := range []*x509.Certificate{selfSigned, stranger} {
		registrytest.Must(t, p.register(p.Admin, nil, p.mallory, c))
	}
	name := func(c *x509.Certificate) string {
		login, err := p.LoginWith(c)
		registrytest.Must(t, err)
		return login.Proof.CertificateName()
	}
	if got := name(selfSigned); got != "" {
		t.Errorf("self-signed: %q, want none", got)
	}
	if got := name(ours); got != "device" {
		t.Errorf("of our own authority: %q, want device", got)
	}
	login, err := p.LoginWith(stranger)
	registrytest.Must(t, err)
	if got := login.Proof.CertificateName(); got != "stranger" {
		t.Errorf("under an anchor: %q, want stranger", got)
	}
	_, err = p.PKI.DeleteAnchor(t.Context(), p.Admin, registry.AnchorID(ca.Fingerprint(p.ca.Cert)))
	registrytest.Must(t, err)
	registrytest.Must(t, p.PKI.Trust().Reload(t.Context()))
	if got := login.Proof.CertificateName(); got != "" || !p.Holds(login) {
		t.Errorf("when the anchor is gone: %q, want none; holds: %v", got, p.Holds(login))
	}
}
