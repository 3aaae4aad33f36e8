package settings

import "strings"

// block returns the value behind the | or > at a place (YAML 1.2.2, section 8.1).
// indent is the indentation of what it belongs to.
func (f *yamlFile) block(at position, indent int) string {
	head, _, _ := strings.Cut(f.from(at), "\n")
	if !strings.HasPrefix(head, "|") && !strings.HasPrefix(head, ">") {
		return ""
	}
	head, _, _ = strings.Cut(head, " ") // a comment may follow
	lines := f.indented(f.lines[at.line:], head, indent)
	text := lines
	for len(text) > 0 && text[len(text)-1] == "" {
		text = text[:len(text)-1]
	}
	ends := strings.Repeat("\n", f.ends(at, lines, text, head))
	if strings.HasPrefix(head, ">") {
		return foldBlock(text) + ends
	}
	return strings.Join(text, "\n") + ends
}

// indented returns the lines of a block, less their indentation: it is said in the
// head, or the first line with text has it.
func (f *yamlFile) indented(below []string, head string, indent int) []string {
	at := indent + 1
	if i := strings.IndexAny(head, "123456789"); i >= 0 {
		at = indent + int(head[i]-'0')
	} else {
		for _, line := range below {
			at = max(at, spaces(line))
			if spaces(line) < len(line) {
				break
			}
		}
	}
	var lines []string
	for _, line := range below {
		if n := spaces(line); n < at && n < len(line) {
			break
		}
		lines = append(lines, line[min(at, len(line)):])
	}
	return lines
}

// spaces returns how many spaces a line begins with.
func spaces(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// ends returns how many ends of lines a block has behind its text: with + in its
// head all, with - none, else one if there is text.
func (f *yamlFile) ends(at position, lines, text []string, head string) int {
	all := len(lines) - len(text) + min(len(text), 1)
	if f.cut && at.line+len(lines) == len(f.lines) {
		all--
	}
	switch {
	case strings.Contains(head, "-"):
		return 0
	case strings.Contains(head, "+"):
		return max(all, 0)
	default:
		return max(min(all, len(text), 1), 0)
	}
}

// foldBlock joins the lines of a folded block: a space stands for one end of a
// line, and a line feed for each further one. Around lines that begin with a space
// or a tab all ends stay.
func foldBlock(lines []string) string {
	var b strings.Builder
	ends, before := 0, ""
	for i, line := range lines {
		if i > 0 {
			ends++
		}
		if line == "" {
			continue
		}
		switch {
		case before == "" || strings.ContainsAny(before[:1]+line[:1], " \t"):
		case ends == 1:
			b.WriteString(" ")
			ends = 0
		default:
			ends--
		}
		b.WriteString(strings.Repeat("\n", ends) + line)
		ends, before = 0, line
	}
	return b.String()
}
