package v1

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/guard"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// Retained are the retained messages of the broker. Filters and topics are those
// of MQTT; what matches no message is no error.
type Retained interface {
	// Retained returns messages by topic, from offset on and at most limit, and
	// how many the filter matches in all.
	Retained(filter string, offset, limit int) ([]RetainedMessage, int)
	// Clear removes the message of a topic and reports whether there was one.
	Clear(by registry.Caller, topic string) bool
	// ClearAll removes the messages that a filter matches and returns how many.
	ClearAll(by registry.Caller, filter string) int
}

// RetainedMessage is a message that is kept for those who subscribe later.
type RetainedMessage struct {
	Topic       string
	Payload     []byte
	QoS         byte
	Created     time.Time
	Expires     time.Time // zero: it does not
	ClientID    string    // of its publisher; empty: the broker itself
	ContentType string
}

// maxPayload is how much of a payload the list shows, in bytes.
const maxPayload = 16 << 10

// retainedJSON is a retained message as the API shows it.
type retainedJSON struct {
	Topic       string     `json:"topic" example:"site1/kiln/temp"`
	Size        int        `json:"size" doc:"Of the payload, in bytes."`
	QoS         int        `json:"qos"`
	CreatedAt   wire.Time  `json:"createdAt"`
	ExpiresAt   *wire.Time `json:"expiresAt" nullable:"true" doc:"null: it does not expire."`
	ClientID    string     `json:"clientId" doc:"Of its publisher; empty: the broker itself." example:"gateway-7"`
	ContentType string     `json:"contentType,omitempty" doc:"As its publisher says." example:"application/json"`
	Payload     []byte     `json:"payload,omitempty" doc:"In base64, when asked for; no more than its first 16384 bytes."`
}

func showRetained(m RetainedMessage) retainedJSON {
	return retainedJSON{
		Topic: m.Topic, Size: len(m.Payload), QoS: int(m.QoS),
		CreatedAt: wire.Time{Time: m.Created}, ExpiresAt: wire.TimeOrNull(m.Expires),
		ClientID: m.ClientID, ContentType: m.ContentType,
	}
}

// retainedPageJSON is a page of retained messages.
type retainedPageJSON struct {
	Messages   []retainedJSON `json:"messages"`
	Pagination paginationJSON `json:"pagination"`
}

// listRetained serves GET /retained.
func (a *API) listRetained(_ context.Context, in *struct {
	Filter      string `query:"filter" default:"#" maxLength:"65535" doc:"An MQTT filter: only topics that it matches. The broker's own begin with $, and # does not match them." example:"site1/#"`
	Payload     bool   `query:"payload" doc:"Show the payloads, too."`
	PageNumber  int    `query:"pageNumber" default:"1" minimum:"1" maximum:"1000000000" doc:"The page, from 1."`
	RowsPerPage int    `query:"rowsPerPage" default:"100" minimum:"1" maximum:"100" doc:"Messages on a page."`
},
) (*struct{ Body retainedPageJSON }, error) {
	if err := validFilter(in.Filter); err != nil {
		return nil, err
	}
	messages, total := a.retained.Retained(in.Filter, (in.PageNumber-1)*in.RowsPerPage, in.RowsPerPage)
	page := each(messages, showRetained)
	for i := range page {
		if in.Payload {
			page[i].Payload = messages[i].Payload[:min(len(messages[i].Payload), maxPayload)]
		}
	}
	return &struct{ Body retainedPageJSON }{retainedPageJSON{page, paginate(in.PageNumber, in.RowsPerPage, total)}}, nil
}

// WhichRetained is part of a request that clears retained messages.
type WhichRetained struct {
	Topic  string `query:"topic" maxLength:"65535" doc:"Clear what is retained under this very topic." example:"site1/kiln/temp"`
	Filter string `query:"filter" maxLength:"65535" doc:"Clear what is retained under all topics that this MQTT filter matches." example:"site1/#"`
}

// Resolve implements huma.Resolver.
func (w *WhichRetained) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	q := u.Query()
	if len(q["topic"])+len(q["filter"]) != 1 || w.Topic+w.Filter == "" {
		return []error{&huma.ErrorDetail{Location: "query.topic", Message: "give one topic or one filter"}}
	}
	return nil
}

// clearedJSON says what became of many.
type clearedJSON struct {
	Cleared int `json:"cleared" doc:"Messages that were cleared."`
}

// retainedCleared is the answer to a request that clears: with a count for a
// filter, and with nothing for a topic.
type retainedCleared struct {
	Status int
	Body   *clearedJSON
}

// clearRetained serves DELETE /retained.
func (a *API) clearRetained(ctx context.Context, in *struct{ WhichRetained }) (*retainedCleared, error) {
	by := guard.Caller(ctx)
	if in.Filter == "" {
		if !a.retained.Clear(by, in.Topic) {
			return nil, registry.Errorf(registry.NotFound, "topic", "nothing is retained under it")
		}
		return &retainedCleared{Status: http.StatusNoContent}, nil
	}
	if err := validFilter(in.Filter); err != nil {
		return nil, err
	}
	n := a.retained.ClearAll(by, in.Filter)
	return &retainedCleared{Status: http.StatusOK, Body: &clearedJSON{Cleared: n}}, nil
}

// validFilter returns the error for a filter that is none. Nothing is retained
// for shared ones (MQTT 5 section 4.8.2).
func validFilter(filter string) error {
	if err := acl.ValidFilter(filter); err != nil {
		return registry.Errorf(registry.Invalid, "", "%s", err)
	}
	if _, shared, _ := acl.Unshared(filter); shared {
		return registry.Errorf(registry.Invalid, "filter", "must not be that of a shared subscription")
	}
	return nil
}
