// Package pki serves what others need to check the certificates that are issued
// here: the chain of the authority, its revocation lists (RFC 5280 section
// 4.2.1.13) and its OCSP responder (RFC 6960). All of it is public and signed,
// so it is open, and caches may keep it for a minute.
package pki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/route"
	"mqttwarden/registry"
)

// Authority is the certificate authority; the Service of registry/pki implements it.
// AuthorityPEM and CRL take the number of a generation, 0 for the current one, and
// return NotFound when there is none. The response of OCSP is fit to be sent whatever
// the error, which is for the log.
type Authority interface {
	AuthorityPEM(generation uint64) (string, error)
	CRL(ctx context.Context, generation uint64) ([]byte, error)
	OCSP(ctx context.Context, request []byte) ([]byte, error)
}

// API holds the handlers.
type API struct{ authority Authority }

// New returns the API; Mount makes it reachable.
func New(authority Authority) *API { return &API{authority} }

// The media types (RFC 5280 section 4.2.1.13, RFC 6960 appendix A).
const (
	mediaPEM      = "application/x-pem-file"
	mediaCRL      = "application/pkix-crl"
	mediaRequest  = "application/ocsp-request"
	mediaResponse = "application/ocsp-response"
)

// Mount adds the API to t, below /pki.
func (a *API) Mount(t *route.Table) {
	t = t.Under(root, "PKI")
	const open = access.Open
	route.AddRaw(t, "GET /ca.pem", open, handler(a.chain), route.Raw{
		ID: "getAuthority", Summary: "Get the chain of the certificate authority, the issuer first, the root last", Answer: mediaPEM,
	})
	route.AddRaw(t, "GET /crl", open, handler(a.crl), route.Raw{
		ID: "getCurrentRevocationList", Summary: "Get the revocation list of the authority that issues now", Answer: mediaCRL,
	})
	route.AddRaw(t, "GET /crl/{generation}", open, handler(a.crl), route.Raw{
		ID: "getRevocationList", Summary: "Get the revocation list of one generation of the authority", Answer: mediaCRL,
		Param: "The generation, from 1; certificates name their own.", Example: "1",
	})
	route.AddRaw(t, "POST /ocsp", open, handler(a.postOCSP), route.Raw{
		ID: "postOCSP", Summary: "Ask whether a certificate is revoked", Request: mediaRequest, Answer: mediaResponse,
	})
	route.AddRaw(t, "GET /ocsp/{request}", open, handler(a.getOCSP), route.Raw{
		ID: "getOCSP", Summary: "Ask whether a certificate is revoked, in a way that caches understand", Answer: mediaResponse,
		Param:   "The request, DER in base64 (RFC 6960 appendix A.1).",
		Example: "MEMwQTA/MD0wOzAJBgUrDgMCGgUABBQ=",
	})
}

// root is where the API is.
const root = "/pki"

// handler answers with the error that h returns.
func handler(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			request.Fail(w, r, err)
		}
	})
}

// chain serves GET /ca.pem.
func (a *API) chain(w http.ResponseWriter, r *http.Request) error {
	chain, err := a.authority.AuthorityPEM(0)
	if err != nil {
		return err
	}
	serve(w, r, mediaPEM, []byte(chain))
	return nil
}

// crl serves GET /crl and GET /crl/{generation}.
func (a *API) crl(w http.ResponseWriter, r *http.Request) error {
	var generation uint64 // 0: the current one
	if text := r.PathValue("generation"); text != "" {
		var err error
		if generation, err = strconv.ParseUint(text, 10, 63); err != nil || generation == 0 {
			return registry.Errorf(registry.NotFound, "", "generations are counted from 1")
		}
	}
	list, err := a.authority.CRL(r.Context(), generation)
	if err != nil {
		return err
	}
	serve(w, r, mediaCRL, list)
	return nil
}

// serve answers with a body that caches may keep, or with 304 if the client has it.
func serve(w http.ResponseWriter, r *http.Request, media string, body []byte) {
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Cache-Control", cacheable)
	h.Set("Content-Type", media)
	h.Set("Etag", `"`+hex.EncodeToString(sum[:])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// cacheable lets caches keep an answer for as long as a revocation may wait.
const cacheable = "public, max-age=60"
