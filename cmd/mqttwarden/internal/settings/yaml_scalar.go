package settings

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// The parser gets a value on a single line right. In one that goes over several
// lines it loses spaces and tabs that it should keep, and keeps others. These are
// read here, from the place that the parser tells.

// scalar returns a single value as it is written, and false if none is given:
// nothing stands there. indent is the indentation of what it belongs to.
func (f *yamlFile) scalar(value ast.Node, indent int) (text string, given bool) {
	switch v := value.(type) {
	case *ast.NullNode:
		return v.Token.Value, v.Token.Type != token.ImplicitNullType
	case *ast.LiteralNode:
		return f.sure(v, f.block(where(v), indent), v.Value.Value), true
	case *ast.StringNode:
		if v.Token.Type == token.SingleQuoteType || v.Token.Type == token.DoubleQuoteType {
			return f.quoted(v), true
		}
		return f.plain(v), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return f.plain(v), true
	default:
		f.bad(value, "a value may not begin with &, * or ! unless it is in quotes: anchors, aliases and tags are not taken")
		return "", false
	}
}

// plain returns a value that stands there without quotes.
func (f *yamlFile) plain(value ast.Node) string {
	raw := strings.TrimSpace(value.GetToken().Origin)
	switch {
	case strings.Contains(raw, "\t"):
		f.bad(value, "a value with a tab in it must be in quotes")
	case strings.Contains(raw, "\n"):
		if strings.Contains(raw, " #") {
			f.bad(value, "a value of several lines may have no comment in it")
		}
		return fold(raw, false)
	}
	return value.GetToken().Value
}

// quoted returns a value in quotes.
func (f *yamlFile) quoted(value *ast.StringNode) string {
	quote := `"`
	if value.Token.Type == token.SingleQuoteType {
		quote = "'"
	}
	raw, found := f.quotes(where(value), quote)
	switch {
	case !found:
		f.lost(value)
		return ""
	case !strings.Contains(raw, "\n"):
		return value.Value
	case quote == "'":
		return f.sure(value, strings.ReplaceAll(fold(raw, false), "''", "'"), value.Value)
	}
	if tree, err := parse(quote + fold(raw, true) + quote); err == nil { // it knows the escapes
		if line, ok := tree.Docs[0].Body.(*ast.StringNode); ok {
			return f.sure(value, line.Value, value.Value)
		}
	}
	f.lost(value)
	return ""
}

// sure returns a text. The parser must have read the same, but for spaces: else
// the place that it told was wrong.
func (f *yamlFile) sure(at ast.Node, text, parsed string) string {
	if strings.Join(strings.Fields(text), "") != strings.Join(strings.Fields(parsed), "") {
		f.lost(at)
	}
	return text
}

func (f *yamlFile) lost(at ast.Node) {
	f.bad(at, `this value is not understood: write it on one line, and a tab in double quotes as \t`)
}

// quotes returns what stands between the quotes that begin at a place, if they do.
func (f *yamlFile) quotes(at position, quote string) (text string, found bool) {
	rest, found := strings.CutPrefix(f.from(at), quote)
	for i := 0; i < len(rest); i++ {
		switch {
		case quote == "'" && strings.HasPrefix(rest[i:], "''"), quote == `"` && rest[i] == '\\':
			i++
		case rest[i] == quote[0]:
			return rest[:i], found
		}
	}
	return "", false
}

// from returns the text of the file from a place on; none if there is no such
// place, for the parser does not always count right.
func (f *yamlFile) from(at position) string {
	if at.line > len(f.lines) {
		return ""
	}
	line := []rune(f.lines[at.line-1])
	if at.column > len(line) {
		return ""
	}
	return strings.Join(append([]string{string(line[at.column-1:])}, f.lines[at.line:]...), "\n")
}

// fold makes one line of several: a space stands for the end of a line, and a
// line feed for each empty line (YAML 1.2.2, section 6.5). Spaces around the end
// of a line go. With escapes, as in double quotes, a backslash keeps one of them,
// or has the end vanish, and the line feed is written as \n.
func fold(raw string, escapes bool) string {
	lines := strings.Split(raw, "\n")
	last := len(lines) - 1
	lineFeed := "\n"
	if escapes {
		lineFeed = `\n`
	}
	var b strings.Builder
	empty, joint := 0, ""
	for i, line := range lines {
		if i > 0 {
			line = strings.TrimLeft(line, " \t")
		}
		if line == "" && 0 < i && i < last {
			empty++
			continue
		}
		if empty > 0 {
			joint = strings.Repeat(lineFeed, empty)
		}
		b.WriteString(joint)
		empty, joint = 0, " "
		if i < last {
			line, joint = lineEnd(line, escapes)
		}
		b.WriteString(line)
	}
	return b.String()
}

// lineEnd returns a line without the spaces at its end, and what joins it with the
// next.
func lineEnd(line string, escapes bool) (text, joint string) {
	text = strings.TrimRight(line, " \t")
	backslashes := len(text) - len(strings.TrimRight(text, `\`))
	switch {
	case !escapes || backslashes%2 == 0:
		return text, " "
	case len(text) < len(line):
		return line[:len(text)+1], " "
	default:
		return text[:len(text)-1], ""
	}
}
