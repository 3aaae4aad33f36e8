package v1

import (
	"context"
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// SignIn makes a login of a name and password.
type SignIn interface {
	In(ctx context.Context, a registry.Attempt) (registry.Login, error)
}

// Sessions makes and ends the tokens that stand for a login over HTTP.
type Sessions interface {
	CountLogin(remote netip.Addr) error
	IssueToken(ctx context.Context, login registry.Login, life time.Duration, label string) (string, registry.Token, error)
	Logout(ctx context.Context, token string) (uint64, error)
}

// loginJSON is an attempt to sign in.
type loginJSON struct {
	Username          string   `json:"username" maxLength:"255" example:"admin"`
	Password          string   `json:"password" maxLength:"1024" writeOnly:"true"`
	ExpireTimeInHours *float64 `json:"expireTimeInHours,omitempty" exclusiveMinimum:"0" doc:"How long the token lives, in hours; fractions are allowed, and whole seconds count. Missing: one hour." example:"0.5"`
	Label             string   `json:"label,omitempty" maxLength:"255" doc:"What the token is for." example:"nightly report"`
}

// sessionTokenJSON is a token, shown this once, and what it may do.
type sessionTokenJSON struct {
	Token       string           `json:"token" doc:"Send it as Authorization: Bearer. It is shown only now."`
	ExpiresAt   wire.Time        `json:"expiresAt"`
	Permissions []permissionJSON `json:"permissions" doc:"All that the user may do, by its roles and by itself."`
}

// login serves POST /login.
func (a *API) login(ctx context.Context, in *struct{ Body loginJSON }) (*struct{ Body sessionTokenJSON }, error) {
	if strings.ContainsFunc(in.Body.Label, unicode.IsControl) {
		return nil, registry.Errorf(registry.Invalid, "label", "must not hold control characters")
	}
	if err := a.sessions.CountLogin(request.From(ctx).Remote); err != nil { // before a password is worked on
		return nil, err
	}
	login, err := a.signIn.In(ctx, registry.Attempt{
		Username: in.Body.Username, Password: in.Body.Password, HasPassword: true, Remote: request.From(ctx).Remote,
	})
	if err != nil {
		return nil, err
	}
	p := login.Subject.Principal()
	if p == nil { // deleted since
		return nil, registry.Errorf(registry.Unauthenticated, "", "wrong user name or password")
	}
	request.From(ctx).User = p.User.Username
	raw, token, err := a.sessions.IssueToken(ctx, login, lifetime(in.Body.ExpireTimeInHours), in.Body.Label)
	if err != nil {
		return nil, err
	}
	return &struct{ Body sessionTokenJSON }{sessionTokenJSON{
		Token: raw, ExpiresAt: wire.Time{Time: token.Expires}, Permissions: each(p.Grants(), showGrant),
	}}, nil
}

// lifetime returns a number of hours as a duration, zero when none was asked for. It
// is rounded up to a second, which is how exact a token is. What no duration can hold
// becomes the longest there is, which the registry refuses.
func lifetime(hours *float64) time.Duration {
	if hours == nil {
		return 0
	}
	seconds := math.Ceil(*hours * 3600)
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds) * time.Second
}

// sessionJSON is who the caller is.
type sessionJSON struct {
	User        userJSON         `json:"user"`
	Permissions []permissionJSON `json:"permissions" doc:"All that the user may do, by its roles and by itself."`
	ExpiresAt   *wire.Time       `json:"expiresAt" nullable:"true" doc:"When the credential of this request ends; null: it does not by itself."`
}

// session serves GET /session.
func (a *API) session(ctx context.Context, _ *struct{}) (*struct{ Body sessionJSON }, error) {
	who := access.Who(ctx)
	u, err := a.users.User(ctx, who.Principal.User.ID)
	if err != nil {
		return nil, err
	}
	whole, err := a.wholeUser(ctx, u)
	if err != nil {
		return nil, err
	}
	return &struct{ Body sessionJSON }{sessionJSON{
		User:        whole,
		Permissions: each(who.Principal.Grants(), showGrant),
		ExpiresAt:   wire.TimeOrNull(who.Login.Proof.Expires),
	}}, nil
}

// ownPermissions serves GET /permissions.
func (a *API) ownPermissions(ctx context.Context, _ *struct{}) (*struct{ Body []permissionJSON }, error) {
	return &struct{ Body []permissionJSON }{each(access.Who(ctx).Principal.Grants(), showGrant)}, nil
}

// logout serves POST /logout. It needs no other credential than the token in the
// body.
func (a *API) logout(ctx context.Context, in *struct {
	Preference
	Body struct {
		Token string `json:"token" writeOnly:"true" doc:"The token to end. One that is not known is no error."`
	} `nameHint:"Logout"`
},
) (*changed, error) {
	if err := a.sessions.CountLogin(request.From(ctx).Remote); err != nil {
		return nil, err
	}
	change, err := a.sessions.Logout(ctx, in.Body.Token)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}
