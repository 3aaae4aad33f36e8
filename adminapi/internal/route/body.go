package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
)

// buffered reads the whole body of a request before next sees it: at most limit
// bytes, within the server's read deadline, and only if its content type is JSON.
// The content type is checked without a body, too: a form that a page of another
// origin sends may be empty. A body of one of the types in texts reaches next as a
// JSON string.
func buffered(limit int64, next http.Handler, texts ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(w, r, limit, texts)
		if err != nil {
			request.Fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json") // in the usual spelling
		next.ServeHTTP(w, r)
	})
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64, texts []string) ([]byte, error) {
	ignored := r.Method == http.MethodGet || r.Method == http.MethodHead // RFC 9110 section 9.3.1
	types := r.Header.Values("Content-Type")
	text := isOneOf(types, texts)
	if !ignored && len(types) > 0 && !text && !isJSON(types) {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType,
			"Content-Type: must be "+strings.Join(append(slices.Clone(texts), "application/json in UTF-8"), ", "))
	}
	if !ignored && r.Header.Get("Content-Encoding") != "" {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType, "Content-Encoding: must not be set")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, unreadable(err)
	}
	if !ignored && len(body) > 0 && len(types) == 0 {
		return nil, wire.NewClientError(http.StatusUnsupportedMediaType, "Content-Type: must be application/json")
	}
	if text {
		return json.Marshal(string(body))
	}
	return body, nil
}

func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return wire.NewClientError(http.StatusRequestEntityTooLarge, "the body is too large")
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
