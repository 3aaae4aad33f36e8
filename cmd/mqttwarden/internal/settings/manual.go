package settings

import (
	"fmt"
	"strings"
)

// Manual returns sections as the manual has them, in Markdown: a heading and a
// table with a row for each setting.
func Manual(sections []Section) string {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### %s\n", s.Title)
		if s.Text != "" {
			fmt.Fprintf(&b, "\n%s\n", s.Text)
		}
		b.WriteString("\n")
		row(&b, append([]string{"setting", "default", "accepted", "what it is"}, s.Columns...))
		b.WriteString(strings.Repeat("|---", 4+len(s.Columns)) + "|\n")
		for _, setting := range s.Settings {
			row(&b, s.cells(setting))
		}
	}
	return b.String()
}

// cells returns the row of a setting.
func (s Section) cells(of Setting) []string {
	unless := of.Unset
	switch {
	case of.Default != "":
		unless = "`" + of.Default + "`"
	case unless == "":
		unless = "none"
	}
	return append([]string{"`--" + s.full(of.Name) + "`", unless, of.accepted(), of.Help}, of.Cells...)
}

func row(b *strings.Builder, cells []string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", "\\|")
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
