package settings

import (
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Flags gives every command of the command line that takes settings a flag for
// each of them, and has what is not given there looked up by the Reader.
func (r *Reader) Flags() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, option := range []kong.Option{kong.PostBuild(r.addFlags), kong.Resolvers(r), kong.Bind(r)} {
			if err := option.Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *Reader) addFlags(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if n, ok := node.(*kong.Node); ok && n.Target.CanAddr() {
			if c, ok := n.Target.Addr().Interface().(Command); ok {
				n.Flags = append(n.Flags, r.flags(c)...)
			}
		}
		return next(nil)
	})
}

// flags returns the flags of a command.
func (r *Reader) flags(c Command) []*kong.Flag {
	r.texts[c] = make(map[string]*string)
	var flags []*kong.Flag
	for _, section := range c.Sections() {
		group := &kong.Group{Key: section.Title, Title: section.Title + ":"}
		for _, s := range section.Settings {
			name, text := section.Full(s.Name), new(string)
			r.texts[c][name] = text
			r.lists[name] = r.lists[name] || isList(s.Value)
			flags = append(flags, newFlag(name, s, text, group))
		}
	}
	return flags
}

// newFlag returns a flag that leaves the text it is given in text.
func newFlag(name string, s Setting, text *string, group *kong.Group) *kong.Flag {
	flag := &kong.Flag{Group: group, PlaceHolder: s.Placeholder, Value: &kong.Value{
		Name: name, Help: s.describe(), OrigHelp: s.describe(), Default: s.Default, HasDefault: s.Default != "", Required: s.Required,
		Target: reflect.ValueOf(text).Elem(), DefaultValue: reflect.ValueOf(new(string)).Elem(),
		Mapper: kong.MapperFunc(takeText), Tag: &kong.Tag{},
	}}
	flag.Flag = flag
	return flag
}

// takeText takes the text of a flag as it is.
func takeText(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("value")
	if err == nil {
		target.SetString(token.String())
	}
	return err
}

// describe returns what --help says of a setting.
func (s Setting) describe() string {
	var more []string
	if what := s.Accepted(); what != "" {
		more = append(more, what)
	}
	if s.Unset != "" {
		more = append(more, "default: "+s.Unset)
	}
	if len(more) == 0 {
		return s.Help
	}
	return s.Help + " (" + strings.Join(more, "; ") + ")"
}

// Accepted says what a setting accepts, with the unit of a number.
func (s Setting) Accepted() string {
	if s.Unit == "" {
		return s.Value.Accepts()
	}
	return s.Value.Accepts() + ", " + s.Unit
}
