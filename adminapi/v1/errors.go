package v1

import (
	"errors"
	"net/http"
	"strconv"

	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// Problem is a failure as clients see it.
type Problem struct {
	StatusCode int    `json:"statusCode" doc:"The HTTP status again." example:"409"`
	Name       string `json:"error" doc:"The name of the status." example:"Conflict"`
	Message    string `json:"message" doc:"What is wrong, for people. It names the field at fault." example:"username: alice is taken"`
}

// failure answers a request that failed with err.
func failure(_ *http.Request, err error) wire.Answer {
	if e, ok := errors.AsType[*wire.ClientError](err); ok {
		return problem(e.Status, e.Message)
	}
	code, field, detail := registry.Public(err)
	if field != "" {
		detail = fieldName(field) + ": " + detail
	}
	status, retry := statusOf(code)
	a := problem(status, detail)
	if retry > 0 {
		a.Header.Set("Retry-After", strconv.Itoa(retry))
	}
	return a
}

// fieldName returns how this API calls a field of the registry.
func fieldName(f registry.Field) string {
	switch f {
	case registry.FieldProvider:
		return "identityProvider"
	case registry.FieldPublishPrefix:
		return "mqttPublishPrefix"
	case registry.FieldClientIDs:
		return "clientIds"
	case registry.FieldShared:
		return "isShared"
	case registry.FieldLDAPGroupDN:
		return "ldapGroupDn"
	case registry.FieldEntraGroupIDs:
		return "msEntraIdGroupIds"
	case registry.FieldEnforceMFA:
		return "enforceMFAEnrollment"
	case registry.FieldLife:
		return "expireTimeInHours"
	case registry.FieldRole:
		return "roleId"
	case registry.FieldToken:
		return "tokenId"
	default:
		return string(f)
	}
}

// statusOf returns the status that stands for a code, and in how many seconds to
// try again; 0: that would not help.
func statusOf(code registry.Code) (status, retry int) {
	switch code {
	case registry.Invalid, registry.WeakPassword:
		return http.StatusBadRequest, 0
	case registry.Unauthenticated:
		return http.StatusUnauthorized, 0
	case registry.Forbidden:
		return http.StatusForbidden, 0
	case registry.NotFound:
		return http.StatusNotFound, 0
	case registry.Conflict, registry.LastAdmin:
		return http.StatusConflict, 0
	case registry.Locked:
		return http.StatusTooManyRequests, 60
	case registry.TooOften:
		return http.StatusTooManyRequests, 1
	case registry.Busy:
		return http.StatusServiceUnavailable, 1
	case registry.Unavailable:
		return http.StatusServiceUnavailable, 5
	default:
		return http.StatusInternalServerError, 0
	}
}

func problem(status int, message string) wire.Answer {
	a := wire.JSON(status, Problem{StatusCode: status, Name: name(status), Message: message})
	if status == http.StatusUnauthorized {
		a.Header.Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2
	}
	return a
}

// name returns the name of a status. 499, of a client that hung up, is in no RFC.
func name(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Client Closed Request"
}
