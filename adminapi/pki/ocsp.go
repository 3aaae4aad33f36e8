package pki

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry/ca"
)

// errorLength is the length of a response that holds an error status and nothing
// else (RFC 6960 section 4.2.1).
const errorLength = 5

// postOCSP serves POST /ocsp.
func (a *API) postOCSP(w http.ResponseWriter, r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != mediaRequest {
		return wire.NewClientError(http.StatusUnsupportedMediaType, "Content-Type: must be "+mediaRequest)
	}
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ca.MaxOCSPRequest))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return wire.NewClientError(http.StatusRequestEntityTooLarge, "the body is too large")
	}
	if err != nil {
		return wire.NewClientError(http.StatusBadRequest, "the body ended early")
	}
	response, err := a.respond(r, question)
	if err != nil {
		return err
	}
	send(w, response)
	return nil
}

// send answers with a response that no cache may keep.
func send(w http.ResponseWriter, response []byte) {
	w.Header().Set("Content-Type", mediaResponse)
	// #nosec G705 -- DER, and by its type and nosniff nothing that a browser shows
	_, _ = w.Write(response) // a client that has gone does not read it
}

// getOCSP serves GET /ocsp/{request}, in the form that CleanPath gives the path.
func (a *API) getOCSP(w http.ResponseWriter, r *http.Request) error {
	question, err := decode(r.PathValue("request"))
	if err != nil {
		return wire.NewClientError(http.StatusBadRequest, "the path must end in the base64 of an OCSP request")
	}
	response, err := a.respond(r, question)
	switch {
	case err != nil:
		return err
	case len(response) > errorLength:
		serve(w, r, mediaResponse, response)
	default:
		send(w, response)
	}
	return nil
}

// respond returns the response to a question. A fault of ours is told by its status,
// and logged.
func (a *API) respond(r *http.Request, question []byte) ([]byte, error) {
	response, err := a.authority.OCSP(r.Context(), question)
	if len(response) == 0 {
		return nil, err
	}
	request.From(r.Context()).Cause = err
	return response, nil
}

// CleanPath rewrites the path of an OCSP request by GET to base64 without slashes.
// Such a path has base64 in which each / is to be sent as %2F (RFC 6960 appendix
// A.1), and often is not; access.Clean refuses either. What cannot be decoded is left
// as it is.
func CleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, ok := strings.CutPrefix(r.URL.EscapedPath(), root+"/ocsp/"); ok {
			if der, err := decode(text); err == nil {
				u := *r.URL
				u.Path, u.RawPath = root+"/ocsp/"+base64.RawURLEncoding.EncodeToString(der), ""
				clean := *r
				clean.URL = &u
				r = &clean
			}
		}
		next.ServeHTTP(w, r)
	})
}

// decode reads base64 in either alphabet, percent-encoded or not, padded or not.
func decode(text string) ([]byte, error) {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return nil, err
	}
	plain = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(plain, "="))
	if plain == "" || len(plain) > base64.RawURLEncoding.EncodedLen(ca.MaxOCSPRequest) {
		return nil, errors.New("not the base64 of a request")
	}
	return base64.RawURLEncoding.Strict().DecodeString(plain)
}
