package enrol_test

import (
	"testing"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/enrol"
	"mqttwarden/registry/registrytest"
)

// withPassword makes a user that may sign in with a password and the other methods.
func withPassword(r *registrytest.Rig, name string, others ...registry.Method) (registry.User, registry.Login) {
	r.T.Helper()
	spec := registry.UserSpec{Username: name, Provider: registry.ProviderLocal, Password: name + "-secret", GrantTypes: []registry.GrantType{{Method: registry.MethodPassword}}}
	for _, m := range others {
		spec.GrantTypes = append(spec.GrantTypes, registry.GrantType{Method: m})
	}
	u, _, err := r.Service.CreateUser(r.T.Context(), r.Admin, spec)
	registrytest.Must(r.T, err)
	login, err := r.Login(name, name+"-secret")
	registrytest.Must(r.T, err)
	return u, login
}

func TestAFirstCertificateForAPassword(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, login := withPassword(r, "gateway", registry.MethodCertificate)
	made, n, err := r.Enrolment.Renew(ctx, r.CallerNamed("gateway"), login, registrytest.NewCSR(t, "gateway"))
	registrytest.Must(t, err)
	if n == 0 || made.Replaces != "" || made.CACertificates == "" {
		t.Errorf("change %d: %+v", n, made)
	}
	if _, err := r.LoginWith(registrytest.Parse(t, made.PEM)); err != nil {
		t.Errorf("it signs nobody in: %v", err)
	}
	_, err = renew(r, login)
	registrytest.WantCode(t, "a second one by password", err, registry.Forbidden)
	u, err := r.Store.UserByName(ctx, "gateway")
	registrytest.Must(t, err)
	_, err = r.Service.RemoveFingerprint(ctx, r.Admin, u.ID, made.Fingerprint)
	registrytest.Must(t, err)
	_, err = renew(r, login)
	registrytest.WantCode(t, "when it was removed", err, registry.Forbidden)
}

func TestNoFirstCertificate(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	_, granted := withPassword(r, "granted", registry.MethodCertificate)
	_, other := withPassword(r, "other")
	raw, _, err := r.Service.IssueToken(ctx, granted, 0, "")
	registrytest.Must(t, err)
	byToken, err := r.SignIn.Token(ctx, raw)
	registrytest.Must(t, err)
	for _, tt := range []struct {
		name, caller, csr string
		login             registry.Login
		code              registry.Code
	}{
		{"the grant types lack certificate", "other", "other", other, registry.Forbidden},
		{"by a token", "granted", "granted", byToken, registry.Forbidden},
		{"another's login", "other", "granted", granted, registry.Forbidden},
		{"another's name", "granted", "admin", granted, registry.Invalid},
	} {
		_, _, err := r.Enrolment.Renew(ctx, r.CallerNamed(tt.caller), tt.login, registrytest.NewCSR(t, tt.csr))
		registrytest.WantCode(t, tt.name, err, tt.code)
	}
	u, err := r.Store.UserByName(ctx, "granted")
	registrytest.Must(t, err)
	_, _, err = r.Service.UpdateUser(ctx, r.Admin, u.ID, registry.UserUpdate{Password: new("quite-another")})
	registrytest.Must(t, err)
	_, err = renew(r, granted)
	registrytest.WantCode(t, "the password was changed", err, registry.Forbidden)
	if _, n, err := r.PKI.IssuedCertificates(ctx, registry.IssuedQuery{}); err != nil || n != 0 {
		t.Errorf("%d certificates were issued, %v", n, err)
	}
}

func TestAnOperatorIssues(t *testing.T) {
	r := registrytest.New(t)
	ctx := t.Context()
	small := r.Role("small", registrytest.MQTT(acl.Write, "site1/#"))
	r.User("operator", small)
	device, _ := withPassword(r, "device")
	admin, err := r.Store.UserByName(ctx, registry.AdminUsername)
	registrytest.Must(t, err)
	operator := r.CallerNamed("operator")
	issue := func(by registry.Caller, u registry.User, name string) (enrol.Issuance, error) {
		made, _, err := r.Enrolment.Issue(ctx, by, u.ID, registrytest.NewCSR(t, name))
		return made, err
	}
	for _, tt := range []struct {
		name string
		by   registry.Caller
		user registry.User
		csr  string
		code registry.Code
	}{
		{"to a user with more rights", operator, admin, "admin", registry.Forbidden},
		{"to oneself", operator, registry.User{ID: operator.ID}, "operator", registry.Forbidden},
		{"to nobody", operator, registry.User{ID: "nobody"}, "nobody", registry.NotFound},
		{"under another name", operator, device, "admin", registry.Invalid},
		{"by nobody", registry.Caller{}, device, "device", registry.Unauthenticated},
	} {
		_, err := issue(tt.by, tt.user, tt.csr)
		registrytest.WantCode(t, tt.name, err, tt.code)
	}
	for range registry.MaxFingerprints {
		made, err := issue(operator, device, "device")
		registrytest.Must(t, err)
		if _, err := r.LoginWith(registrytest.Parse(t, made.PEM)); err != nil {
			t.Fatalf("it signs nobody in: %v", err)
		}
	}
	_, err = issue(operator, device, "device")
	registrytest.WantCode(t, "one more than a user may have", err, registry.Conflict)
	_, err = issue(r.Admin, admin, "admin")
	registrytest.WantCode(t, "to oneself, with all rights", err, "")
}
