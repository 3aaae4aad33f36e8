package settings

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// prefix is what all environment variables of ours begin with.
const prefix = "MQTTWARDEN_"

// Command is a command that takes settings. It returns them anew each time, with
// the same places for their values.
type Command interface{ Sections() []Section }

// Reader finds out what settings were given: by the command line, which kong
// reads, by the environment, and by the file. It answers kong for every flag that
// is not on the command line.
type Reader struct {
	env     map[string]string
	file    yamlFile
	path    string                         // of the file, empty until it is read
	texts   map[Command]map[string]*string // as they are given, by their whole names
	lists   map[string]bool                // settings that may be lists in the file
	unknown []error                        // what is given and is no setting
}

// NewReader returns a Reader that takes the environment from environ, as
// os.Environ returns it.
func NewReader(environ []string) *Reader {
	r := &Reader{env: make(map[string]string), texts: make(map[Command]map[string]*string), lists: make(map[string]bool)}
	for _, e := range environ {
		if name, text, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, prefix) {
			r.env[name] = text
		}
	}
	return r
}

// Read takes the settings of a command to their places. It returns an error that
// tells all that is wrong with them.
func (r *Reader) Read(c Command) error { return notAccepted(r.read(c)) }

// ReadAll is Read, and what was given and is no setting is wrong, too.
func (r *Reader) ReadAll(c Command) error {
	return notAccepted(slices.Concat(r.unknown, r.read(c)))
}

func (r *Reader) read(c Command) []error {
	var p Problems
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			name := section.Full(s.Name)
			refuse := func(text, want string) { p.Refuse(name, text, want) }
			if !s.Required {
				s.Value.Set(s.Default, refuse)
			}
			if text := *r.texts[c][name]; s.Required || text != s.Default {
				s.Value.Set(text, refuse)
			}
		}
		if section.Check != nil {
			section.Check(&p)
		}
	}
	return p.all
}

func notAccepted(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("these settings are not accepted:\n%w", errors.Join(problems...))
}

// ConfigFile is the flag that names the file. It is read as soon as it is known.
type ConfigFile struct {
	Config configPath `placeholder:"FILE" help:"YAML file; every setting may stand in it."`
}

type configPath string

// BeforeResolve implements kong's hook.
func (configPath) BeforeResolve(r *Reader, ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configPath)
	return r.readFile(string(path))
}

func (r *Reader) readFile(path string) error {
	if r.path == path {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	file, err := readYAML(b)
	if err != nil {
		return fmt.Errorf("config: %s: %w", path, err)
	}
	r.path, r.file = path, file
	for _, problem := range file.problems {
		r.note(problem)
	}
	return nil
}

// note notes what is wrong in the file.
func (r *Reader) note(problem error) {
	r.unknown = append(r.unknown, fmt.Errorf("  %s: %w", r.path, problem))
}

// Resolve implements kong.Resolver: the environment beats the file.
func (r *Reader) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if path := r.env[envName("config")]; r.path == "" && path != "" {
		if err := r.readFile(path); err != nil {
			return nil, err
		}
	}
	if own(flag) {
		return nil, nil
	}
	if text, ok := r.env[envName(flag.Name)]; ok {
		return text, nil
	}
	e, ok := r.file.entries[flag.Name]
	if !ok || e.none {
		return nil, nil
	}
	if e.list && !r.lists[flag.Name] && !flag.IsSlice() {
		r.note(fmt.Errorf("%s setting %q must be one value, not a list", e.at, flag.Name))
	}
	return e.text, nil
}

// own reports whether a flag is about the command line itself, and no setting.
func own(flag *kong.Flag) bool { return flag.Name == "config" || flag.Name == "help" }

// Validate implements kong.Resolver: it notes everything that no flag is for.
func (r *Reader) Validate(app *kong.Application) error {
	settings := make(map[string]bool)
	variables := map[string]bool{envName("config"): true, envName("token"): true}
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok && !own(f) {
			settings[f.Name], variables[envName(f.Name)] = true, true
		}
		return next(nil)
	})
	for _, name := range slices.Sorted(maps.Keys(r.file.entries)) {
		if e := r.file.entries[name]; !settings[name] && (!e.none || !isSection(name, settings)) {
			r.note(fmt.Errorf("%s unknown setting %q", e.at, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		if !variables[name] && !injected.MatchString(name) {
			r.unknown = append(r.unknown, fmt.Errorf("  unknown environment variable %s", name))
		}
	}
	return err
}

// isSection reports whether settings have a name in front of theirs.
func isSection(name string, settings map[string]bool) bool {
	for setting := range settings {
		if strings.HasPrefix(setting, name+"-") {
			return true
		}
	}
	return false
}

// injected matches the variables that container platforms set for a service
// named mqttwarden; they are no settings of ours.
var injected = regexp.MustCompile(`^MQTTWARDEN_(SERVICE_.*|PORT|PORT_.*)$`)

// envName is the environment variable for a setting.
func envName(setting string) string {
	return prefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(setting))
}
