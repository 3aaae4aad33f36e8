// Package wire is what all APIs have in common on the wire, whatever their dialect:
// JSON, times, and errors about a request as HTTP.
package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
)

// Answer is a whole answer to a request.
type Answer struct {
	Status int
	Header http.Header // with the content type, if there is a body; may be nil
	Body   []byte
}

// JSON returns an answer whose body is v.
func JSON(status int, v any) Answer {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // v is one of our own types, and they all encode
	}
	return Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body.Bytes()}
}

// Send answers with a.
func (a Answer) Send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	// #nosec G705 -- made by our own code, of a type that nosniff holds browsers to
	_, _ = w.Write(a.Body) // a client that has gone does not read it
}
