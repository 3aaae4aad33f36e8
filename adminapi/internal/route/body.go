package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
	"mqttwarden/registry/peer"
)

// intake is how the bodies of one route are taken.
type intake struct {
	size   size
	texts  []string // media types that are text, beside JSON
	bodies *Bodies
}

// buffered reads the whole body of a request before next sees it: as large as the
// route may need, within the server's read deadline, and only if its content type is
// JSON. The content type is checked without a body, too: a form that a page of another
// origin sends may be empty. A body of one of the types in texts reaches next as a
// JSON string. What would be too much to decode is refused before.
func (in intake) buffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &lease{bodies: in.bodies, from: peer.Network(request.From(r.Context()).Remote)}
		defer l.end()
		body, err := in.read(w, r, l)
		if err != nil {
			request.Fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json") // in the usual spelling
		next.ServeHTTP(w, r)
	})
}

// read returns the body of a request as JSON.
func (in intake) read(w http.ResponseWriter, r *http.Request, l *lease) ([]byte, error) {
	ignored := r.Method == http.MethodGet || r.Method == http.MethodHead // RFC 9110 section 9.3.1
	types := r.Header.Values("Content-Type")
	text := isOneOf(types, in.texts)
	if !ignored && len(types) > 0 && !text && !isJSON(types) {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType,
			"Content-Type: must be "+strings.Join(append(slices.Clone(in.texts), "application/json in UTF-8"), ", "))
	}
	if !ignored && r.Header.Get("Content-Encoding") != "" {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType, "Content-Encoding: must not be set")
	}
	body, err := in.readAll(w, r, l)
	if err != nil {
		return nil, err
	}
	if !ignored && len(body) > 0 && len(types) == 0 {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType, "Content-Type: must be application/json")
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // some editors write a byte order mark
	if text {
		return asString(body)
	}
	if len(in.texts) > 0 && bytes.HasPrefix(bytes.TrimSpace(body), []byte("-----BEGIN ")) {
		return nil, wire.NewClientError(http.StatusBadRequest,
			"body: is PEM, not JSON: send it as Content-Type "+strings.Join(in.texts, " or ")+", or as a JSON string")
	}
	return body, in.judge(body, l)
}

// asString returns text as a JSON string.
func asString(text []byte) ([]byte, error) {
	switch {
	case utf8.Valid(text):
		return json.Marshal(string(text))
	case text[0] == 0x30: // a SEQUENCE
		return nil, wire.NewClientError(http.StatusBadRequest, "body: is DER: convert it to PEM, as with openssl x509 -inform DER")
	default:
		return nil, wire.NewClientError(http.StatusBadRequest, "body: must be text in UTF-8")
	}
}

// readAll reads a body and takes its share of the budget as it grows.
func (in intake) readAll(w http.ResponseWriter, r *http.Request, l *lease) ([]byte, error) {
	if r.ContentLength > in.size.bytes {
		return nil, in.tooLarge()
	}
	limited := http.MaxBytesReader(w, r.Body, in.size.bytes)
	body, err := io.ReadAll(&counted{from: limited, lease: l})
	switch {
	case err == nil:
		return body, nil
	case isTooLarge(err):
		return nil, in.tooLarge()
	case errors.Is(err, registry.Busy):
		// A client that is still sending would find its connection reset, not the
		// answer that tells it to come back.
		_, _ = io.Copy(io.Discard, limited)
	}
	return nil, unreadable(err)
}

// judge returns an error for JSON that would be too much to decode.
func (in intake) judge(body []byte, l *lease) error {
	values, err := wire.Measure(body, in.size.Size)
	if err != nil {
		return wire.NewClientError(http.StatusBadRequest, "body: "+err.Error())
	}
	return l.grow(int64(len(body)), values)
}

func (in intake) tooLarge() error {
	return wire.NewClientError(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large: this route takes at most %d bytes", in.size.bytes))
}

// counted reads a body and lets a lease grow with it.
type counted struct {
	from  io.Reader
	lease *lease
	n     int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if full := c.lease.grow(c.n, 0); full != nil {
		return n, full
	}
	return n, err
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

func unreadable(err error) error {
	if code, _, _ := registry.Public(err); code != registry.Internal { // the budget is spent
		return err
	}
	if _, ok := errors.AsType[*wire.ClientError](err); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return wire.NewClientError(http.StatusRequestTimeout, "the body took too long")
	}
	return wire.NewClientError(http.StatusBadRequest, "the body ended early")
}

// isOneOf reports whether types is one media type, and that one of texts.
func isOneOf(types, texts []string) bool {
	if len(types) != 1 {
		return false
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err == nil && slices.Contains(texts, media)
}

func isJSON(types []string) bool {
	if len(types) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(types[0])
	charset, given := params["charset"]
	return err == nil && media == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}
