package v1

import (
	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/route"
)

// Dialect returns the dialect of this API, which has every path that no other
// dialect claims.
func Dialect() *route.Dialect {
	return &route.Dialect{
		Name:     "api",
		Prefixes: []string{"/"},
		Errors:   failure,
		Document: route.Document{
			Path:        "/openapi.json",
			Title:       "mqttwarden",
			Description: description,
			Schemes:     schemes(),
			Failure:     Problem{},
			Failures:    failures,
		},
	}
}

// description opens the OpenAPI document.
const description = "Users, roles and permissions of the MQTT broker, and of this API itself.\n\n" +
	"Every path needs a permission in the http context on itself, as it is called (`/api/users/…`): " +
	"read for GET and HEAD, write for the rest. `/api/session`, `/api/permissions` and `/api/client-registry/renew` " +
	"need a credential only, `/api/login`, `/api/logout`, `/api/client-registry/register` and what is below `/pki` nothing.\n\n" +
	"An answer to a change carries its number as `X-Change`; `GET /api/changes/{n}` tells how far it is enforced, " +
	"and `Prefer: wait=N` makes the answer wait for that."

// failures says what can go wrong, in the OpenAPI document.
const failures = "A failure. 400: the request is not valid, and the message names the field. " +
	"401: no valid credential. 403: no permission, or a right that the caller does not have. " +
	"404: there is no such thing. 409: taken, or in a state that forbids it. 412: changed since the state that If-Match names. 413: the body is too large. " +
	"415: the body is not application/json. 429, 503: try again after Retry-After. 500: a fault of the server."

// schemes returns the ways to show a credential.
func schemes() []route.Scheme {
	return []route.Scheme{
		{Name: "bearer", SecurityScheme: huma.SecurityScheme{
			Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token from POST /api/login.",
		}},
		{Name: "basic", SecurityScheme: huma.SecurityScheme{
			Type: "http", Scheme: "basic",
			Description: "User name and password; each request is a sign-in.",
		}},
		{Name: "apiToken", SecurityScheme: huma.SecurityScheme{
			Type: "apiKey", In: "query", Name: "apiToken",
			Description: "A token in the query, where a header can't be sent. May be switched off.",
		}},
		{Name: "clientCertificate", SecurityScheme: huma.SecurityScheme{
			Type: "mutualTLS",
			Description: "The client certificate of the TLS connection. It counts when no other credential is sent, " +
				"and beside name and password for users who must prove both.",
		}},
	}
}
