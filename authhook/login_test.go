package authhook

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// signedIn returns the login of a user with n permissions and a prefix.
func signedIn(tb testing.TB, n int, prefix string) *Login {
	tb.Helper()
	role := registry.Role{ID: "1", Version: 1, Permissions: make([]registry.Permission, n)}
	for i := range role.Permissions {
		role.Permissions[i] = registry.Permission{Context: acl.MQTT, Operation: acl.ReadWrite, Resource: fmt.Sprintf("site%d/+/out/#", i)}
	}
	user := registry.User{
		ID: "1", Username: "gateway", Active: true, PublishPrefix: prefix, Roles: []registry.RoleID{"1"},
		GrantTypes: []registry.GrantType{{Method: registry.MethodPassword}},
	}
	principals := registry.NewPrincipals(registry.PrincipalsConfig{
		Store: one{user, role}, Roles: registry.NewHeldRoles(), Fresh: func() bool { return true },
	})
	subject, err := principals.ByName(tb.Context(), "gateway")
	if err != nil {
		tb.Fatal(err)
	}
	return New(Config{Now: time.Now}).login("gw-1", registry.Login{Subject: subject})
}

// one is a register with one user, who has one role.
type one struct {
	user registry.User
	role registry.Role
}

func (o one) RecordByName(context.Context, string) (registry.Record, error) {
	return registry.Record{User: o.user, RoleVersions: []uint64{o.role.Version}}, nil
}

func (o one) RecordByID(ctx context.Context, _ registry.UserID) (registry.Record, error) {
	return o.RecordByName(ctx, "")
}

func (o one) RecordByFingerprint(ctx context.Context, _ string) (registry.Record, error) {
	return o.RecordByName(ctx, "")
}

func (o one) RolesByID(context.Context, []registry.RoleID) ([]registry.Role, error) {
	return []registry.Role{o.role}, nil
}

// recaller signs nobody in and believes every proof.
type recaller struct{ proof registry.Proof }

func (*recaller) In(context.Context, registry.Attempt) (registry.Login, error) {
	return registry.Login{}, registry.Unauthenticated
}

func (r *recaller) Recall(_ context.Context, _ registry.UserID, proof registry.Proof) (registry.Login, error) {
	r.proof = proof
	return registry.Login{Proof: proof}, nil
}

// No field is zero: a zero comes back even if it is forgotten.
func TestNothingIsForgottenOfAProof(t *testing.T) {
	want := registry.Proof{
		Username: "alice", PasswordSet: time.Unix(1, 5).UTC(), Certificate: "ab", CommonName: "cn", Trusted: true,
		Own: true, CertificateEnds: time.Unix(2, 0).UTC(), Paths: []registry.TrustPath{{Anchor: "cd", NotAfter: time.Unix(3, 0).UTC()}},
		Token: "t1", Expires: time.Unix(2, 7).UTC(),
	}
	r := new(recaller)
	h := New(Config{SignIn: r, Now: time.Now})
	written := (&Login{hook: h, proof: want}).Proof()
	if _, err := h.Recall(t.Context(), "c", "u", written); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, r.proof, cmpopts.IgnoreUnexported(registry.Proof{})); diff != "" {
		t.Error(diff)
	}
}

// What was written when a will stood beside the proof is read, too.
func TestAProofOfTheFirstVersionIsRead(t *testing.T) {
	r := new(recaller)
	h := New(Config{SignIn: r, Now: time.Now})
	const written = `{"username":"alice","passwordSet":"2026-01-02T03:04:05.000000006Z","token":"t1",
		"will":{"topic":"a/will","payload":"Z29uZQ=="},"willDue":"2026-01-02T03:05:05Z"}`
	if _, err := h.Recall(t.Context(), "c", "u", []byte(written)); err != nil {
		t.Fatal(err)
	}
	want := registry.Proof{Username: "alice", PasswordSet: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Token: "t1"}
	if diff := cmp.Diff(want, r.proof, cmpopts.IgnoreUnexported(registry.Proof{})); diff != "" {
		t.Error(diff)
	}
}
