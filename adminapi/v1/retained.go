package v1

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// Retained are the retained messages of the broker. Filters and topics are those
// of MQTT; what matches no message is no error.
type Retained interface {
	// Retained returns the messages that the filter matches and may accepts, in the
	// order of their topics, from offset on and at most limit, and how many there are
	// in all.
	Retained(filter string, may func(topic string) bool, offset, limit int) ([]RetainedMessage, int)
	// ClearRetained removes the message of a topic and reports whether there was
	// one.
	ClearRetained(topic string) bool
	// ClearAllRetained removes the messages that a filter matches and may accepts,
	// and returns how many.
	ClearAllRetained(filter string, may func(topic string) bool) int
}

// Audit writes the audit log for what the registry does not do itself.
type Audit interface {
	ClearingRetained(ctx context.Context, by registry.Caller, filter string, n int) error
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

// listRetained serves GET /retained. The permission on the path is not enough to
// see a message: that would be a way round the permissions over MQTT. The caller
// sees what they might subscribe to.
func (a *API) listRetained(ctx context.Context, in *struct {
	Filter      string `query:"filter" default:"#" maxLength:"65535" doc:"An MQTT filter: only topics that it matches. The broker's own begin with $, and # does not match them." example:"site1/#"`
	Payload     bool   `query:"payload" doc:"Show the payloads, too."`
	PageNumber  int    `query:"pageNumber" default:"1" minimum:"1" maximum:"1000000000" doc:"The page, from 1."`
	RowsPerPage int    `query:"rowsPerPage" default:"100" minimum:"1" maximum:"100" doc:"Messages on a page."`
},
) (*struct{ Body retainedPageJSON }, error) {
	if err := validFilter(in.Filter); err != nil {
		return nil, err
	}
	messages, total := a.retained.Retained(in.Filter, mayRead(ctx), (in.PageNumber-1)*in.RowsPerPage, in.RowsPerPage)
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

// clearedJSON says how many messages were cleared.
type clearedJSON struct {
	Cleared int `json:"cleared" doc:"Messages that were cleared."`
}

// retainedCleared is the answer to a request that clears: with a count for a
// filter, and with nothing for a topic.
type retainedCleared struct {
	Status int
	Body   *clearedJSON
}

// clearRetained serves DELETE /retained. As with GET, the permission on the path is
// not enough: callers clear what they might clear by publishing an empty message,
// behind their publish prefix. But subscribers get no message.
func (a *API) clearRetained(ctx context.Context, in *struct{ WhichRetained }) (*retainedCleared, error) {
	may := mayWrite(ctx)
	if in.Filter == "" {
		if err := a.clearTopic(ctx, in.Topic, may); err != nil {
			return nil, err
		}
		return &retainedCleared{Status: http.StatusNoContent}, nil
	}
	if err := validFilter(in.Filter); err != nil {
		return nil, err
	}
	_, n := a.retained.Retained(in.Filter, may, 0, 0)
	if n > 0 {
		if err := a.audit.ClearingRetained(ctx, access.Caller(ctx), in.Filter, n); err != nil {
			return nil, err
		}
		n = a.retained.ClearAllRetained(in.Filter, may)
	}
	return &retainedCleared{Status: http.StatusOK, Body: &clearedJSON{Cleared: n}}, nil
}

// clearTopic clears one message. Whether there is one is told only to callers who
// may publish to the topic.
func (a *API) clearTopic(ctx context.Context, topic string, may func(topic string) bool) error {
	if err := acl.ValidTopic(topic); err != nil {
		return registry.Errorf(registry.Invalid, "", "%s", err)
	}
	if !may(topic) {
		return registry.Errorf(registry.Forbidden, "topic", "you lack the permission to publish to it")
	}
	nothing := registry.Errorf(registry.NotFound, "topic", "nothing is retained under it")
	if _, n := a.retained.Retained(topic, may, 0, 0); n == 0 {
		return nothing
	}
	if err := a.audit.ClearingRetained(ctx, access.Caller(ctx), topic, 1); err != nil {
		return err
	}
	if !a.retained.ClearRetained(topic) {
		return nothing
	}
	return nil
}

// mayRead returns the function that tells whether the caller may subscribe to a
// topic.
func mayRead(ctx context.Context) func(topic string) bool {
	policy := access.Who(ctx).Principal.Policy
	return func(topic string) bool { return policy.MayRead(nil, topic) }
}

// mayWrite returns the function that tells whether the caller may publish to a
// topic, which must begin with their publish prefix.
func mayWrite(ctx context.Context) func(topic string) bool {
	policy := access.Who(ctx).Principal.Policy
	return func(topic string) bool {
		rest, ok := strings.CutPrefix(topic, policy.Prefix())
		return ok && policy.MayPublish(nil, rest)
	}
}

// validFilter returns Invalid for what is no filter, and for the filter of a shared
// subscription, which gets no retained messages (MQTT 5 section 4.8.2).
func validFilter(filter string) error {
	if err := acl.ValidFilter(filter); err != nil {
		return registry.Errorf(registry.Invalid, "", "%s", err)
	}
	if _, shared, _ := acl.Unshared(filter); shared {
		return registry.Errorf(registry.Invalid, "filter", "must not be that of a shared subscription")
	}
	return nil
}
