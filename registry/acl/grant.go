package acl

import (
	"fmt"
	"strconv"
)

// Operation is a set of things a grant is about. There is no subscribe and no
// publish: reading is subscribing and being delivered to, writing is
// publishing; over HTTP reading is GET and HEAD, writing the rest.
type Operation uint8

// The operations.
const (
	Read Operation = 1 << iota
	Write

	ReadWrite = Read | Write
)

// ParseOperation returns the operation that the API calls s: read, write or
// readWrite. Its error is a *SyntaxError.
func ParseOperation(s string) (Operation, error) {
	switch s {
	case "read":
		return Read, nil
	case "write":
		return Write, nil
	case "readWrite":
		return ReadWrite, nil
	default:
		return 0, syntaxError("operation", s, "must be read, write or readWrite")
	}
}

// String returns the name that ParseOperation takes.
func (o Operation) String() string {
	switch o {
	case Read:
		return "read"
	case Write:
		return "write"
	case ReadWrite:
		return "readWrite"
	default:
		return "Operation(" + strconv.Itoa(int(o)) + ")"
	}
}

// Context says what a grant's resource names.
type Context uint8

// The contexts.
const (
	MQTT Context = iota + 1 // topics
	HTTP                    // paths of the API
)

// ParseContext returns the context that the API calls s: mqtt or http. Its
// error is a *SyntaxError.
func ParseContext(s string) (Context, error) {
	switch s {
	case "mqtt":
		return MQTT, nil
	case "http":
		return HTTP, nil
	default:
		return 0, syntaxError("context", s, "must be mqtt or http")
	}
}

// String returns the name that ParseContext takes.
func (c Context) String() string {
	switch c {
	case MQTT:
		return "mqtt"
	case HTTP:
		return "http"
	default:
		return "Context(" + strconv.Itoa(int(c)) + ")"
	}
}

// Effect says which way a grant decides.
type Effect uint8

// The effects. Allow is the default; Deny beats any Allow.
const (
	Allow Effect = iota
	Deny
)

// ParseEffect returns the effect that the API calls s: allow, which is also
// what the empty string means, or deny. Its error is a *SyntaxError.
func ParseEffect(s string) (Effect, error) {
	switch s {
	case "", "allow":
		return Allow, nil
	case "deny":
		return Deny, nil
	default:
		return 0, syntaxError("effect", s, "must be allow or deny")
	}
}

// String returns the name that ParseEffect takes.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case Deny:
		return "deny"
	default:
		return "Effect(" + strconv.Itoa(int(e)) + ")"
	}
}

// Grant is one permission as the policy sees it.
type Grant struct {
	Context    Context
	Operation  Operation
	Effect     Effect
	Resource   string // a filter; at most MaxLength bytes and MaxLevels levels
	Permission string // where the grant came from, for Explain; not judged
	Role       string // likewise
}

// Validate reports the first rule that g breaks, as a *SyntaxError.
func (g Grant) Validate() error {
	_, err := g.parse()
	return err
}

// parse returns the resource of a valid grant, or what is wrong with g.
func (g Grant) parse() ([]piece, error) {
	switch {
	case g.Context != MQTT && g.Context != HTTP:
		return nil, syntaxError("context", g.Context.String(), "must be mqtt or http")
	case g.Operation == 0 || g.Operation&^ReadWrite != 0:
		return nil, syntaxError("operation", g.Operation.String(), "must be read, write or readWrite")
	case g.Effect != Allow && g.Effect != Deny:
		return nil, syntaxError("effect", g.Effect.String(), "must be allow or deny")
	}
	return parseResource(g.Context, g.Resource)
}

// SyntaxError says which rule an input breaks. Its text is written for whoever
// sent the input and may be shown to them.
type SyntaxError struct {
	What   string // the kind of input: resource, filter, operation, …
	Value  string // the input, shortened
	Detail string // what is accepted
}

// Error returns for example: resource "a+/b": "+" must be a level of its own.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.What, e.Value, e.Detail)
}

// syntaxError returns a *SyntaxError about value.
func syntaxError(what, value, detail string) error {
	const longest = 80 // bytes of a value that an error repeats
	if len(value) > longest {
		value = value[:longest] + "…"
	}
	return &SyntaxError{What: what, Value: value, Detail: detail}
}
