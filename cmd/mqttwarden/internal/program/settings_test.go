package program

import (
	"regexp"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// declared are all settings of the program by their whole names.
func declared() map[string]settings.Setting {
	all := make(map[string]settings.Setting)
	for _, c := range []settings.Command{new(config), new(healthcheckCmd), new(enrollCmd), new(copyCmd)} {
		for _, section := range c.Sections() {
			for _, s := range section.Settings {
				all[section.Full(s.Name)] = s
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
			name := section.Full(s.Name)
			if seen[name] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(name) {
				t.Errorf("%q is taken, or no name", name)
			}
			seen[name] = true
		}
	}
}
