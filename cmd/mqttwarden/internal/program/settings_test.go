package program

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// declared are all settings of the program by their whole names.
func declared() map[string]settings.Setting {
	all := make(map[string]settings.Setting)
	for _, c := range []settings.Command{new(config), new(healthcheckCmd), new(enrollCmd)} {
		for _, section := range c.Sections() {
			for _, s := range section.Settings {
				all[strings.TrimPrefix(section.Name+"-"+s.Name, "-")] = s
			}
		}
	}
	return all
}

func TestEverySettingIsDeclaredWhole(t *testing.T) {
	for name, s := range declared() {
		if !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: help %q is no sentence", name, s.Help)
		}
		if s.Default != "" && s.Unset != "" {
			t.Errorf("%s has a default, and something that holds without one", name)
		}
		if s.Required {
			continue
		}
		s.Value.Set(s.Default, func(text, want string) {
			t.Errorf("%s: its default %q is not accepted: must be %s", name, text, want)
		})
	}
	for _, section := range new(config).Sections() {
		for _, s := range section.Settings {
			if len(s.Cells) != len(section.Columns) {
				t.Errorf("%s-%s has %d cells for %d columns", section.Name, s.Name, len(s.Cells), len(section.Columns))
			}
		}
	}
}

// A name that is given twice would be two settings with one flag, and two names
// with one environment variable could not be told apart.
func TestSettingsDoNotShareAName(t *testing.T) {
	seen := make(map[string]bool)
	for _, section := range new(config).Sections() {
		for _, s := range section.Settings {
			name := strings.TrimPrefix(section.Name+"-"+s.Name, "-")
			if seen[name] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(name) {
				t.Errorf("%q is taken, or no name", name)
			}
			seen[name] = true
		}
	}
}

// manual is the page that the settings stand in.
const manual = "../../../../deploy/docs/operations.md"

func TestManualHasEverySetting(t *testing.T) {
	page, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "from the declarations in cmd/mqttwarden -->\n", "<!-- /settings -->"
	head, rest, begins := strings.Cut(string(page), begin)
	_, tail, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the settings", manual)
	}
	want := head + begin + settings.Manual(new(config).Sections()) + "\n" + end + tail
	if *update {
		if err := os.WriteFile(manual, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != want {
		t.Errorf("%s does not have the settings as they are declared: make golden writes them", manual)
	}
}

// What the pages call a setting must be one.
func TestPagesNameNoOtherSettings(t *testing.T) {
	known := declared()
	for _, flag := range []string{"config", "help", "root", "chain", "key"} { // of commands
		known[flag] = settings.Setting{}
	}
	for _, page := range []string{manual, "../../../../README.md", "../../../../deploy/docs/enrol.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`--([a-z]+(?:-[a-z]+)*)(?: [^`]*)?`").FindAllStringSubmatch(string(text), -1) {
			if _, ok := known[m[1]]; !ok {
				t.Errorf("%s: there is no --%s", page, m[1])
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
