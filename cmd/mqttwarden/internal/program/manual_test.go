package program

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// page is where the settings are described for operators.
const page = "../../../../deploy/docs/operations.md"

// tables returns sections as the manual has them, in Markdown: a heading and a
// table with a row for each setting.
func tables(sections []settings.Section) string {
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
			row(&b, cells(s, setting))
		}
	}
	return b.String()
}

// cells returns the row of a setting.
func cells(s settings.Section, of settings.Setting) []string {
	unless := of.Unset
	switch {
	case of.Default != "":
		unless = "`" + of.Default + "`"
	case unless == "":
		unless = "none"
	}
	return append([]string{"`--" + s.Full(of.Name) + "`", unless, of.Accepted(), of.Help}, of.Cells...)
}

func row(b *strings.Builder, cells []string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", "\\|")
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func TestManualHasEverySetting(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "from the declarations in cmd/mqttwarden -->\n", "<!-- /settings -->"
	head, rest, begins := strings.Cut(string(text), begin)
	_, tail, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the settings", page)
	}
	want := head + begin + tables(new(config).Sections()) + "\n" + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s does not have the settings as they are declared: make golden writes them", page)
	}
}

// What the pages call a setting must be one.
func TestPagesNameNoOtherSettings(t *testing.T) {
	known := declared()
	for _, flag := range []string{"config", "help", "root", "chain", "key"} { // of commands
		known[flag] = settings.Setting{}
	}
	for _, name := range []string{page, "../../../../README.md", "../../../../deploy/docs/enrol.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`--([a-z]+(?:-[a-z]+)*)(?: [^`]*)?`").FindAllStringSubmatch(string(text), -1) {
			if _, ok := known[m[1]]; !ok {
				t.Errorf("%s: there is no --%s", name, m[1])
			}
		}
	}
}

// What the manual calls a metric must be one.
func TestManualNamesNoOtherMetrics(t *testing.T) {
	names, err := os.ReadFile("testdata/metrics.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range new(config).Sections() {
		for _, s := range section.Settings {
			for _, m := range regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)[`{]").FindAllStringSubmatch(strings.Join(s.Cells, " "), -1) {
				if !regexp.MustCompile(`(?m)^mqttwarden_` + m[1] + `_total\b`).Match(names) {
					t.Errorf("%s-%s: there is no metric %s", section.Name, s.Name, m[1])
				}
			}
		}
	}
}
