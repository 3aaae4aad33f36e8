package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays may stand in each other.
const maxDepth = 16

// Errors of Unmarshal. None repeats what was sent: it may hold a password.
var (
	errNotJSON = errors.New("is not valid JSON")
	errNotUTF8 = errors.New("must be UTF-8, with whole surrogate pairs and without NUL")
	errDeep    = fmt.Errorf("has objects or arrays more than %d levels deep", maxDepth)
	errTwice   = errors.New("has a field twice")
)

// Unmarshal is json.Unmarshal, but stricter when v is an *any, which is how huma
// reads a body first, to validate it. JSON parsers differ in what they make of a name
// that stands twice, of broken UTF-8 and of NUL, so what is validated could differ
// from what is used: all of that is refused (RFC 8259 sections 4 and 8). A body that
// has passed is then read into its type by json.Unmarshal.
func Unmarshal(data []byte, v any) error {
	tree, ok := v.(*any)
	if !ok {
		return json.Unmarshal(data, v)
	}
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	if !json.Valid(data) { // trailing bytes, too
		return errNotJSON
	}
	if !wholeEscapes(data) {
		return errNotUTF8
	}
	parsed, err := parse(json.NewDecoder(bytes.NewReader(data)), 0)
	*tree = parsed
	return err
}

// parse reads the next value of valid JSON.
func parse(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil { // io.EOF can't be: the input is valid
		return nil, errNotJSON // a number that no float64 holds
	}
	delim, ok := token.(json.Delim)
	switch {
	case !ok:
		return token, nil
	case depth == maxDepth:
		return nil, errDeep
	case delim == '{':
		return parseObject(dec, depth+1)
	default:
		return parseArray(dec, depth+1)
	}
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errNotJSON
		}
		key, _ := name.(string) // names are strings in valid JSON
		if _, twice := object[key]; twice {
			return nil, errTwice
		}
		if object[key], err = parse(dec, depth); err != nil {
			return nil, err
		}
	}
	return object, end(dec)
}

func parseArray(dec *json.Decoder, depth int) (any, error) {
	array := []any{}
	for dec.More() {
		item, err := parse(dec, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, item)
	}
	return array, end(dec)
}

// end reads the closing bracket.
func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return nil
}

// wholeEscapes reports whether every \u escape of valid JSON is a character
// other than NUL: a surrogate only as half of a pair. encoding/json would put
// U+FFFD in the place of a lone one, and so make two names one.
func wholeEscapes(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return true
		}
		data = data[i:]
		if data[1] != 'u' {
			data = data[2:]
			continue
		}
		unit := escape(data)
		data = data[6:]
		switch {
		case unit == 0, isLow(unit):
			return false
		case isHigh(unit):
			if len(data) < 6 || data[0] != '\\' || data[1] != 'u' || !isLow(escape(data)) {
				return false
			}
			data = data[6:]
		}
	}
}

// escape returns the code unit of data, which begins with a \u escape.
func escape(data []byte) uint64 {
	unit, _ := strconv.ParseUint(string(data[2:6]), 16, 16) // valid JSON: always four digits
	return unit
}

func isHigh(unit uint64) bool { return 0xD800 <= unit && unit <= 0xDBFF }
func isLow(unit uint64) bool  { return 0xDC00 <= unit && unit <= 0xDFFF }
