package access

import (
	"context"
	"net/http"
	"strings"

	"mqttwarden/registry"
)

// SignIn makes a login of a credential; *registry.SignIn implements it.
type SignIn interface {
	In(ctx context.Context, a registry.Attempt) (registry.Login, error)
	Token(ctx context.Context, token string) (registry.Login, error)
}

// queryToken is the parameter in which a token may stand in any URL.
const queryToken = "apiToken"

// login signs the sender of r in with the first of these that r has:
//
//   - an Authorization header: a bearer token (RFC 6750 section 2.1), or a name
//     and password (RFC 7617), which a client certificate completes for users
//     who must prove both
//   - a token in the query, which is taken out of the URL, so that no later
//     handler sees it
//   - the client certificate of its TLS connection
//
// If that one is wrong the request is refused; the next is not tried.
func (c *Control) login(r *http.Request) (registry.Login, error) {
	inQuery := takeQueryToken(r)
	header := r.Header.Values("Authorization")
	if len(header) > 1 || len(inQuery) > 1 {
		return registry.Login{}, registry.Errorf(registry.Unauthenticated, "", "more than one credential was sent")
	}
	if len(header) == 0 {
		if len(inQuery) == 0 || !c.AllowQueryToken {
			return c.byCertificate(r)
		}
		return c.SignIn.Token(r.Context(), inQuery[0])
	}
	if scheme, token, ok := strings.Cut(header[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
		return c.SignIn.Token(r.Context(), strings.TrimSpace(token))
	}
	if username, password, ok := r.BasicAuth(); ok {
		return c.byPassword(r, username, password)
	}
	return registry.Login{}, registry.Errorf(registry.Unauthenticated, "", "the Authorization header must be Bearer or Basic")
}

// takeQueryToken removes the tokens from the URL of r and returns them.
func takeQueryToken(r *http.Request) []string {
	if !strings.Contains(r.URL.RawQuery, queryToken) {
		return nil
	}
	query := r.URL.Query()
	tokens := query[queryToken]
	query.Del(queryToken)
	r.URL.RawQuery = query.Encode()
	return tokens
}
