package wire

import "fmt"

// Size is how much JSON may hold.
type Size struct {
	Values int // objects, arrays, strings, numbers and words in all
	Fields int // of one object
}

// Measure counts the values in JSON without building any of them. It returns an error
// for JSON that holds more than it may, or whose objects and arrays stand too deep in
// each other. What is no JSON at all it lets through: Unmarshal refuses that.
func Measure(data []byte, most Size) (values int, err error) {
	m := meter{most: most, values: 1}
	for i := 0; i < len(data) && err == nil; i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i)
		case '{', '[':
			err = m.open(data[i] == '{')
		case '}', ']':
			m.depth = max(m.depth-1, 0)
		case ',':
			err = m.count()
		}
	}
	return m.values, err
}

// meter is how far Measure has come.
type meter struct {
	most   Size
	values int
	depth  int
	fields [maxDepth + 1]int // of what is open: of arrays far below zero
}

// open enters an object or an array. An empty one counts as one with a value in it.
func (m *meter) open(object bool) error {
	if m.depth == maxDepth {
		return errDeep
	}
	m.depth++
	m.fields[m.depth] = -1 << 62
	if object {
		m.fields[m.depth] = 0
	}
	return m.count()
}

// count notes that another value stands in the innermost object or array.
func (m *meter) count() error {
	m.values++
	if m.values > m.most.Values {
		return fmt.Errorf("has more than %d values: this route takes no more", m.most.Values)
	}
	m.fields[m.depth]++
	if m.fields[m.depth] > m.most.Fields {
		return fmt.Errorf("has an object with more than %d fields: this route takes no more", m.most.Fields)
	}
	return nil
}

// endOfString returns where the string ends that begins at start: at its quote, or at
// the end of data if it has none.
func endOfString(data []byte, start int) int {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++ // what is escaped ends nothing
		case '"':
			return i
		}
	}
	return len(data)
}
