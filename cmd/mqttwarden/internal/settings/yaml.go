package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// entry is what a YAML file says about one setting.
type entry struct {
	text string // of a list: its items with commas between them
	list bool
	none bool // only the name is there, which leaves the default
	at   position
}

// position is a place in a file; lines and columns count from 1.
type position struct{ line, column int }

func (p position) String() string { return fmt.Sprintf("[%d:%d]", p.line, p.column) }

// yamlFile is a YAML file with the settings in it, by their whole names. What
// YAML takes for a number, a date or a truth value is kept as it is written: a
// setting knows by itself what its text means.
type yamlFile struct {
	entries  map[string]entry
	problems []error
	lines    []string // of the file
	cut      bool     // the last of them does not end
}

// readYAML reads settings. It returns an error if the text is no YAML at all;
// what is wrong with single entries is told in problems.
func readYAML(b []byte) (yamlFile, error) {
	text, err := plainText(b)
	if err != nil {
		return yamlFile{}, err
	}
	f := yamlFile{entries: make(map[string]entry), lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n"), cut: !strings.HasSuffix(text, "\n")}
	tree, err := parse(text)
	if err != nil {
		return yamlFile{}, err
	}
	first := true
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		settings, ok := doc.Body.(*ast.MappingNode)
		switch {
		case !first:
			return yamlFile{}, fmt.Errorf("%s a second document begins here: there may be one", where(doc.Body))
		case !ok:
			return yamlFile{}, fmt.Errorf("%s must hold settings, as in mqtt-addr: 127.0.0.1:1883", where(doc.Body))
		}
		first = false
		f.section("", settings)
	}
	return f, nil
}

// parse returns the tree of a YAML text. A last line that does not end is ended:
// the parser does not fold a folded block there.
func parse(text string) (*ast.File, error) {
	tree, err := parser.ParseBytes([]byte(strings.TrimSuffix(text, "\n")+"\n"), 0)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(yaml.FormatError(err, false, false), "'\t'", "TAB"))
	}
	return tree, nil
}

// section takes the settings below a name.
func (f *yamlFile) section(prefix string, section *ast.MappingNode) {
	for _, pair := range section.Values {
		name, ok := keyOf(pair.Key)
		if !ok {
			f.bad(pair.Key, "the name of a setting must be plain text: <<, ?, *, & and ! are not taken")
			continue
		}
		f.value(prefix+name, pair.Key, pair.Value)
	}
}

// value takes what stands behind a name.
func (f *yamlFile) value(name string, key, value ast.Node) {
	switch v := value.(type) {
	case *ast.MappingNode:
		if len(v.Values) == 0 {
			f.add(name, entry{none: true, at: where(key)})
		}
		f.section(name+"-", v)
	case *ast.SequenceNode:
		f.add(name, entry{text: f.list(v), list: true, at: where(key)})
	default:
		text, given := f.scalar(value, where(key).column-1)
		f.add(name, entry{text: text, none: !given, at: where(key)})
	}
}

func (f *yamlFile) add(name string, e entry) {
	if before, twice := f.entries[name]; twice {
		f.problems = append(f.problems, fmt.Errorf("%s setting %q is given twice, first at %s", e.at, name, before.at))
		return
	}
	f.entries[name] = e
}

// list returns the items of a list, joined.
func (f *yamlFile) list(list *ast.SequenceNode) string {
	items := make([]string, 0, len(list.Values))
	for _, item := range list.Values {
		if text, ok := f.item(item, where(list).column-1); ok {
			items = append(items, text)
		}
	}
	return strings.Join(items, ",")
}

// item returns an item of a list, and false if it is none that is taken.
func (f *yamlFile) item(item ast.Node, indent int) (text string, ok bool) {
	switch item.(type) {
	case *ast.MappingNode, *ast.SequenceNode:
	default:
		text, ok = f.scalar(item, indent)
		if _, null := item.(*ast.NullNode); ok || !null {
			return text, ok
		}
	}
	if !ok {
		f.bad(item, "an item of a list must be text")
	}
	return text, ok
}

func (f *yamlFile) bad(at ast.Node, what string) {
	f.problems = append(f.problems, fmt.Errorf("%s %s", where(at), what))
}

// keyOf returns the name that a key is.
func keyOf(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return k.GetToken().Value, true
	default:
		return "", false
	}
}

// where returns the place of a node.
func where(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // its own token is the first colon
	}
	at := n.GetToken().Position
	return position{at.Line, at.Column}
}

// plainText returns the text of a YAML file with line feeds between its lines and
// no byte order mark, or says at which place there is something that YAML does
// not allow (YAML 1.2.2, section 5.1).
func plainText(b []byte) (string, error) {
	text := strings.TrimPrefix(string(b), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	at := position{1, 0}
	for i, r := range text {
		at.column++
		switch {
		case r == '\n':
			at = position{at.line + 1, 0}
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			return "", fmt.Errorf("%s is not in UTF-8", at)
		case unicode.IsControl(r) && r != '\t' && r != '\u0085':
			return "", fmt.Errorf("%s must not hold the control character %U; in double quotes it may be written \\x%02x", at, r, r)
		}
	}
	return text, nil
}
