package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

const envPrefix = "MQTTWARDEN_"

// settings answers kong for every flag that is not on the command line: first
// from the environment, then from the file. What is wrong with them is kept in
// problems, so that all of it can be told at once.
type settings struct {
	env      map[string]string
	file     map[string]string // flattened: a section's keys carry its name in front
	path     string
	problems []error
}

func newSettings(environ []string) *settings {
	s := &settings{env: make(map[string]string), file: make(map[string]string)}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, envPrefix) {
			s.env[name] = value
		}
	}
	return s
}

// configFile is the path of a configuration file, read as soon as it is known.
type configFile string

// BeforeResolve reads the file that the command line names.
func (configFile) BeforeResolve(s *settings, ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(configFile)
	return s.read(string(path))
}

// Resolve implements kong.Resolver.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if s.path == "" && s.env[envPrefix+"CONFIG"] != "" {
		if err := s.read(s.env[envPrefix+"CONFIG"]); err != nil {
			return nil, err
		}
	}
	if v, ok := s.env[envName(flag.Name)]; ok {
		return v, nil
	}
	if v, ok := s.file[flag.Name]; ok {
		return v, nil
	}
	return nil, nil
}

// Validate implements kong.Resolver: it notes every key that no flag has.
func (s *settings) Validate(app *kong.Application) error {
	known := map[string]bool{"config": true}
	env := map[string]bool{envPrefix + "CONFIG": true, envPrefix + "TOKEN": true}
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			known[f.Name], env[envName(f.Name)] = true, true
		}
		return next(nil)
	})
	for _, key := range sortedKeys(s.file) {
		if !known[key] {
			s.problems = append(s.problems, fmt.Errorf("%s: unknown setting %q", s.path, key))
		}
	}
	for _, key := range sortedKeys(s.env) {
		if !env[key] && !injected.MatchString(key) {
			s.problems = append(s.problems, fmt.Errorf("unknown environment variable %s", key))
		}
	}
	return err
}

// injected matches the variables that container platforms set for a service
// named mqttwarden; they are no settings of ours.
var injected = regexp.MustCompile(`^MQTTWARDEN_(SERVICE_.*|PORT|PORT_.*)$`)

func (s *settings) read(path string) error {
	if s.path == path {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("config: %s: %s", path, yaml.FormatError(err, false, false))
	}
	s.path, s.file = path, make(map[string]string)
	return s.flatten("", doc)
}

func (s *settings) flatten(prefix string, doc map[string]any) error {
	for key, value := range doc {
		switch v := value.(type) {
		case nil:
		case map[string]any:
			if err := s.flatten(prefix+key+"-", v); err != nil {
				return err
			}
		case []any:
			parts := make([]string, 0, len(v))
			for _, p := range v {
				parts = append(parts, fmt.Sprint(p))
			}
			s.file[prefix+key] = strings.Join(parts, ",")
		case string, bool, uint64, int64, float64:
			s.file[prefix+key] = fmt.Sprint(v)
		default:
			return errors.New("config: " + s.path + ": " + prefix + key + ": must be text, a number, true or false, a list or a section")
		}
	}
	return nil
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(flag))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
