package access

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// Need says what a route asks of whoever calls it.
type Need int

// The needs. The zero value is the strictest.
const (
	Permitted Need = iota // a permission on the path: read for GET and HEAD, else write
	SignedIn              // any user
	Open                  // nothing
)

// String returns the name of n in the list of routes.
func (n Need) String() string {
	switch n {
	case Open:
		return "open"
	case SignedIn:
		return "signed-in"
	default:
		return "permitted"
	}
}

// Control lets requests through to routes.
type Control struct {
	SignIn          SignIn
	AllowQueryToken bool // take a token from ?apiToken=
	// Certificate returns the client certificate of a TLS connection as a
	// credential. Nil: client certificates are ignored.
	Certificate func(*tls.ConnectionState) *registry.Certificate
}

// Identity is who sent a request.
type Identity struct {
	Login     registry.Login
	Principal *registry.Principal // as it stood when the request was let through
	shown     func() *registry.Certificate
	may       func(parameter, value string) bool
}

// MayInstead returns Forbidden, as Protect would, unless the sender may send the same
// request with another value of a parameter of its path. It is for what has two names:
// a permission on one of them must not be got round by the other.
func (i Identity) MayInstead(parameter, value string) error {
	if i.may(parameter, value) {
		return nil
	}
	return errLacksPermission()
}

func errLacksPermission() error {
	return registry.Errorf(registry.Forbidden, "", "you lack the permission for this")
}

type identityKey struct{}

// Who returns who sent the request of ctx, the zero Identity on an open route.
func Who(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// Caller returns who sent the request of ctx, as the register names a caller. On an
// open route it has no id, and so no rights.
func Caller(ctx context.Context) registry.Caller {
	info := request.From(ctx)
	c := registry.Caller{Door: info.Door(), Remote: info.Remote}
	if p := Who(ctx).Principal; p != nil {
		c.ID, c.Username, c.Token = p.User.ID, p.User.Username, Who(ctx).Login.Proof.Token
		c.Reads = func(id registry.UserID) bool { return p.Policy.MayHTTP(acl.Read, "/api/users/"+string(id)) }
	}
	if shown := Who(ctx).shown; shown != nil {
		c.Certificate = shown()
	}
	return c
}

// Protect returns next behind need. Without a valid credential the answer is 401,
// without the permission 403, both before next looks at the request: neither tells
// what exists.
func (c *Control) Protect(need Need, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if need == Open {
			takeQueryToken(r)
			next.ServeHTTP(w, r)
			return
		}
		who, err := c.identify(r)
		if err != nil {
			request.Fail(w, r, err)
			return
		}
		request.From(r.Context()).User = who.Principal.User.Username
		if need == Permitted && !who.Principal.Policy.MayHTTP(operation(r.Method), resource(r)) {
			request.Fail(w, r, errLacksPermission())
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	})
}

func (c *Control) identify(r *http.Request) (Identity, error) {
	login, err := c.login(r)
	if err != nil {
		return Identity{}, err
	}
	p := login.Subject.Principal()
	if p == nil { // deleted since
		return Identity{}, registry.Errorf(registry.Unauthenticated, "", "the credential is not valid")
	}
	return Identity{
		Login: login, Principal: p,
		shown: func() *registry.Certificate { return c.certificate(r) },
		may: func(parameter, value string) bool {
			return p.Policy.MayHTTP(operation(r.Method), resourceWith(r, func(name string) string {
				if name == parameter {
					return value
				}
				return r.PathValue(name)
			}))
		},
	}, nil
}

// operation returns what a method does to a resource.
func operation(method string) acl.Operation {
	if method == http.MethodGet || method == http.MethodHead {
		return acl.Read
	}
	return acl.Write
}

// resource returns the path that a permission for r must cover: the pattern of the
// route that matched, with the values that the router found for its parameters.
func resource(r *http.Request) string { return resourceWith(r, r.PathValue) }

// resourceWith is resource with other values of the parameters.
func resourceWith(r *http.Request, value func(parameter string) string) string {
	segments := strings.Split(r.Pattern, "/")
	for i, s := range segments {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			segments[i] = value(strings.TrimSuffix(name, "}"))
		}
	}
	return strings.Join(segments, "/")
}
