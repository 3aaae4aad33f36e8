package route

import (
	"math"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
)

// What a body may have beyond the largest that its schema accepts, so that one that is
// wrong is told what is wrong with it.
const (
	smallBody   = 16 << 10 // bytes of any body, and the most of one from anybody
	spareValues = 64
	spareFields = 16
)

// unlimited stands for what a schema does not limit.
const unlimited = math.MaxInt32

// size is how large a body may be.
type size struct {
	wire.Size

	bytes int64
}

// sizeOf returns how large the bodies of an operation may be: what its schema accepts,
// within the limit of all bodies. Those that anybody may send are small unless the
// route says otherwise; see Largest.
func (t *Table) sizeOf(op *huma.Operation) size {
	need, _ := op.Metadata[needKey].(access.Need)
	largest, _ := op.Metadata[largestKey].(int64)
	s := size{bytes: smallBody, Size: wire.Size{Values: 1, Fields: 0}}
	if op.RequestBody != nil {
		body := measure(t.api.OpenAPI().Components.Schemas, op.RequestBody.Content["application/json"].Schema)
		s.Size = body.Size
		s.bytes = max(s.bytes, 2*body.bytes) // half of it may be white space
	}
	if need == access.Open {
		s.bytes = max(smallBody, largest)
	}
	s.bytes = min(s.bytes, t.router.cfg.MaxBody)
	s.Values += spareValues
	s.Fields += spareFields
	return s
}

// measure returns the size of the largest JSON that a schema accepts, or more.
func measure(schemas huma.Registry, s *huma.Schema) size {
	if s.Ref != "" {
		s = schemas.SchemaFromRef(s.Ref)
	}
	switch s.Type {
	case huma.TypeObject:
		return measureObject(schemas, s)
	case huma.TypeArray:
		return measureArray(schemas, s)
	case huma.TypeString:
		return size{bytes: stringBytes(s), Size: wire.Size{Values: 1}}
	default:
		return size{bytes: 32, Size: wire.Size{Values: 1}} // the longest number, true, null
	}
}

func measureObject(schemas huma.Registry, s *huma.Schema) size {
	whole := size{bytes: 2, Size: wire.Size{Values: 1, Fields: len(s.Properties)}}
	for name, property := range s.Properties {
		p := measure(schemas, property)
		whole.bytes = min(whole.bytes+int64(len(name))+4+p.bytes, unlimited)
		whole.Values = min(whole.Values+p.Values, unlimited)
		whole.Fields = max(whole.Fields, p.Fields)
	}
	return whole
}

func measureArray(schemas huma.Registry, s *huma.Schema) size {
	most := unlimited
	if s.MaxItems != nil {
		most = *s.MaxItems
	}
	item := measure(schemas, s.Items)
	return size{
		bytes: min(int64(most)*(item.bytes+1)+2, unlimited),
		Size:  wire.Size{Values: min(most*item.Values+1, unlimited), Fields: item.Fields},
	}
}

// stringBytes returns the bytes of the longest string: a character may be written as
// two escapes of six (RFC 8259 section 7).
func stringBytes(s *huma.Schema) int64 {
	const escaped, moment = 12, 64
	switch {
	case s.MaxLength != nil:
		return int64(*s.MaxLength)*escaped + 2
	case len(s.Enum) > 0 || s.Format == "date-time":
		return moment * escaped
	default:
		return unlimited
	}
}
