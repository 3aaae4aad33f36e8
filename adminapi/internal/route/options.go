package route

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Where an operation keeps what options say.
const (
	textsKey   = "texts"
	answersKey = "answers"
)

// Option says what only a few routes have.
type Option func(*huma.Operation)

// Texts has the body taken as text of one of these media types, too. The handler
// gets the text either way; as JSON it is a string.
func Texts(media ...string) Option {
	return func(op *huma.Operation) { op.Metadata[textsKey] = media }
}

// Answers describes statuses other than that of success with which the handler
// sends the same body, or none with 204.
func Answers(descriptions map[int]string) Option {
	return func(op *huma.Operation) { op.Metadata[answersKey] = descriptions }
}

// describeOptions puts what options say into the document.
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
