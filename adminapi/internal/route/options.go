package route

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Keys of an operation's metadata, where options keep their values.
const (
	textsKey   = "texts"
	answersKey = "answers"
	largestKey = "largest"
)

// Option sets what only a few routes need.
type Option func(*huma.Operation)

// Texts accepts the body as text of one of these media types, too. The handler gets
// the same text from it as from a JSON string.
func Texts(media ...string) Option {
	return func(op *huma.Operation) { op.Metadata[textsKey] = media }
}

// Largest lets the bodies of a route that is open have so many bytes. Without it they
// are small: anybody can send them.
func Largest(bytes int64) Option {
	return func(op *huma.Operation) { op.Metadata[largestKey] = bytes }
}

// Answers describes further statuses that the handler may send, with the same body
// as on success, or none with 204.
func Answers(descriptions map[int]string) Option {
	return func(op *huma.Operation) { op.Metadata[answersKey] = descriptions }
}

// describeOptions adds to the document what the options of an operation say.
func describeOptions(_ *huma.OpenAPI, op *huma.Operation) {
	texts, _ := op.Metadata[textsKey].([]string)
	for _, media := range texts {
		op.RequestBody.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	answers, _ := op.Metadata[answersKey].(map[int]string)
	success := op.Responses[strconv.Itoa(op.DefaultStatus)]
	for status, description := range answers {
		answer := &huma.Response{Description: description, Headers: success.Headers}
		if status != http.StatusNoContent {
			answer.Content = success.Content
		}
		op.Responses[strconv.Itoa(status)] = answer
	}
}
