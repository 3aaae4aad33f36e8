package v1

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// Match is part of every request that changes or deletes one thing.
type Match struct {
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"The ETag of what is to be changed (RFC 9110 section 13.1.1): if it is another by now, the answer is 412 and nothing changes."`
}

// Tagged is part of every answer with one thing.
type Tagged struct {
	ETag string `header:"ETag" doc:"Of its state, for If-Match. When it was last used, and the tokens of a user, are no part of it."`
}

// caller returns who sent the request of ctx, who changes nothing if it is not the
// state any more that they have seen. tag returns the tag of the state as it stands
// in their transaction.
func (m Match) caller(ctx context.Context, tag func(context.Context, registry.Reader) (string, error)) registry.Caller {
	by := access.Caller(ctx)
	if m.IfMatch == "" {
		return by
	}
	return by.If(func(ctx context.Context, r registry.Reader) error {
		stands, err := tag(ctx, r)
		if err != nil {
			return err
		}
		return m.judge(stands)
	})
}

// judge returns the error for a state that is not the one that was seen.
func (m Match) judge(stands string) error {
	if m.IfMatch == "" || m.holds(stands) {
		return nil
	}
	return wire.NewClientError(http.StatusPreconditionFailed, "If-Match: it was changed meanwhile: get it again")
}

// holds reports whether one of the tags is that which stands. A weak one never is.
func (m Match) holds(stands string) bool {
	tags := strings.Split(m.IfMatch, ",")
	return slices.ContainsFunc(tags, func(t string) bool {
		t = strings.TrimSpace(t)
		return t == stands || t == "*"
	})
}

// etag returns the tag of a state.
func etag(state any) string {
	sum := sha256.Sum256(encoded(state))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// encoded returns one of our own values as JSON.
func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types all encode
	}
	return b
}

func tagOfUser(u registry.User, own []permissionJSON) string {
	shown := showUser(u)
	shown.Permissions = own
	return etag(shown)
}

func userTag(id registry.UserID) func(context.Context, registry.Reader) (string, error) {
	return func(ctx context.Context, r registry.Reader) (string, error) {
		u, err := r.User(ctx, id)
		if err != nil {
			return "", err
		}
		roles, err := r.RolesOf(ctx, id)
		return tagOfUser(u, ownOf(id, roles)), err
	}
}

func roleTag(id registry.RoleID) func(context.Context, registry.Reader) (string, error) {
	return func(ctx context.Context, r registry.Reader) (string, error) {
		role, err := registry.FindRole(ctx, r, id)
		return etag(showRole(role)), err
	}
}

func permissionTag(id registry.RoleID, pid registry.PermissionID) func(context.Context, registry.Reader) (string, error) {
	return func(ctx context.Context, r registry.Reader) (string, error) {
		role, err := registry.FindRole(ctx, r, id)
		if err != nil {
			return "", err
		}
		p, err := role.Permission(pid)
		return etag(showPermission(p)), err
	}
}
