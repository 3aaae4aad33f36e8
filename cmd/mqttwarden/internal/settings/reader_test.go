package settings

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// server is a command with settings.
type server struct {
	ConfigFile
	config
}

type config struct {
	name, secret string
	size, depth  int
	hosts        []string
	checked      string
}

func (c *config) Sections() []Section {
	return []Section{
		{Title: "General", Settings: []Setting{
			{Name: "name", Value: Text(&c.name), Default: "nobody", Help: "A name."},
			{Name: "secret", Value: Secret(&c.secret), Unset: "none", Help: "A secret."},
			{Name: "hosts", Value: List(&c.hosts, "", func(text string) (string, bool) { return text, true }), Help: "Some hosts."},
		}, Check: func(p *Problems) {
			if c.checked = c.name; c.name == "taken" {
				p.Add("name, hosts", "can't both be")
			}
		}},
		{Name: "limits", Title: "Limits", Text: "What there is at most.", Columns: []string{"told"}, Settings: []Setting{
			{Name: "size", Value: Number(&c.size, 1, 100), Default: "10", Unit: "bytes", Help: "Largest size.", Cells: []string{"a|b"}},
			{Name: "depth", Value: Number(&c.depth, 1, 100), Default: "5", Help: "Largest depth.", Cells: []string{"c"}},
		}},
	}
}

// client is a command with a setting that must be given.
type client struct{ url, name string }

func (c *client) Sections() []Section {
	return []Section{{Title: "Settings", Settings: []Setting{
		{Name: "server", Value: Text(&c.url), Required: true, Help: "Where it is."},
		{Name: "name", Value: Text(&c.name), Default: "client", Help: "A name."},
	}}}
}

// given reads a command line with settings of server, environ and the text of a
// file, if there is any.
func given(t *testing.T, file string, environ []string, args ...string) (*config, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, "MQTTWARDEN_CONFIG="+path)
	}
	var cli struct {
		Server server `cmd:""`
		Client client `cmd:""`
	}
	r := NewReader(environ)
	k, err := kong.New(&cli, r.Flags())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse(append([]string{"server"}, args...)); err != nil {
		return nil, err
	}
	return &cli.Server.config, r.ReadAll(&cli.Server)
}

func TestTheNearerBeatsTheFarther(t *testing.T) {
	const file = "limits: {size: 20}\nname: from the file\n"
	environ := []string{"MQTTWARDEN_LIMITS_SIZE=30", "MQTTWARDEN_SERVER=x", "OTHER=1"}
	for _, tt := range []struct {
		name    string
		file    string
		environ []string
		args    []string
		want    int
	}{
		{"nothing: the default", "name: x\n", nil, nil, 10},
		{"the file", file, nil, nil, 20},
		{"the environment", file, environ, nil, 30},
		{"the environment alone", "", environ, nil, 30},
		{"the command line", file, environ, []string{"--limits-size=40"}, 40},
		{"the command line alone", "", nil, []string{"--limits-size", "40"}, 40},
		{"the command line with the default", file, environ, []string{"--limits-size=10"}, 10},
		{"the last of two on the command line", file, environ, []string{"--limits-size=bad", "--limits-size=41"}, 41},
	} {
		c, err := given(t, tt.file, tt.environ, tt.args...)
		if err != nil || c.size != tt.want || c.depth != 5 {
			t.Errorf("%s: got %+v, %v, want size %d", tt.name, c, err, tt.want)
		}
	}
}

func TestAnEmptyTextIsGiven(t *testing.T) {
	c, err := given(t, "name: in the file\n", []string{"MQTTWARDEN_NAME="})
	if err != nil || c.name != "" || c.checked != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	c, err = given(t, "name:\nsecret: ~\n", nil)
	if err != nil || c.name != "nobody" || c.secret != "~" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestANameAloneIsLookedAt: {size: 1,000} is a size of 1 and a name 000, not a thousand.
func TestANameAloneIsLookedAt(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"a setting", "name:\n", ""},
		{"a section", "limits:\n", ""},
		{"an empty section", "limits: {}\n", ""},
		{"nobody's", "other:\n", `[1:1] unknown setting "other"`},
		{"nobody's section", "bounds: {}\n", `[1:1] unknown setting "bounds"`},
		{"in a section", "limits:\n  sise:\n", `[2:3] unknown setting "limits-sise"`},
		{"a number with a comma in a section", "limits: {size: 1,000}\n", `unknown setting "limits-000"`},
		{"twice", "limits-size: 4\nlimits:\n  size:\n", `[3:3] setting "limits-size" is given twice, first at [1:1]`},
	} {
		if _, err := given(t, tt.file, nil); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestListsInTheFile(t *testing.T) {
	c, err := given(t, "hosts: [a, b]\n", nil)
	if err != nil || strings.Join(c.hosts, " ") != "a b" {
		t.Errorf("got %+v, %v", c, err)
	}
	_, err = given(t, "secret: [hunter, two]\nlimits:\n  size: [1]\n", nil)
	for _, want := range []string{`[1:1] setting "secret" must be one value, not a list`, `[3:3] setting "limits-size" must be one value, not a list`} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	_, err := given(t, "label: x\nconfig: y\nhelp: z\nlimits:\n  size: 0\n  sise: 1\nlimits-size: 3\nsecret: &x y\n",
		[]string{"MQTTWARDEN_LABEL=x", "MQTTWARDEN_HELP=y", "MQTTWARDEN_PORT=tcp://x", "MQTTWARDEN_SERVICE_HOST=x", "MQTTWARDEN_TOKEN=t", "MQTTWARDEN_LIMITS_DEPTH=x"}, "--name=taken")
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{
		`[1:1] unknown setting "label"`, `[2:1] unknown setting "config"`, `[3:1] unknown setting "help"`, `[6:3] unknown setting "limits-sise"`,
		`[7:1] setting "limits-size" is given twice, first at [5:3]`, `[8:9] a value may not begin with`,
		"unknown environment variable MQTTWARDEN_LABEL", "unknown environment variable MQTTWARDEN_HELP",
		`limits-size: "0": must be a number from 1 to 100`, `limits-depth: "x": must be a number`, "name, hosts: can't both be",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in\n%v", want, err)
		}
	}
	for _, unwanted := range []string{"MQTTWARDEN_PORT", "SERVICE", "TOKEN"} {
		if strings.Contains(err.Error(), unwanted) {
			t.Errorf("%s is in\n%v", unwanted, err)
		}
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	for _, args := range [][]string{{"--config", "/nowhere/f.yaml"}, {"--no-such-flag"}, {"--name"}} {
		if _, err := given(t, "", nil, args...); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	if _, err := given(t, "- a\n", nil); err == nil || !strings.Contains(err.Error(), "f.yaml: [1:1] must hold settings") {
		t.Errorf("got %v", err)
	}
}

func TestARequiredSetting(t *testing.T) {
	var cli struct {
		Client client `cmd:""`
	}
	for _, environ := range [][]string{nil, {"MQTTWARDEN_SERVER=x"}} {
		r := NewReader(append(environ, "MQTTWARDEN_UNKNOWN=1"))
		k, err := kong.New(&cli, r.Flags())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = k.Parse([]string{"client"}); (err == nil) != (environ != nil) {
			t.Errorf("%v: %v", environ, err)
		}
		if err == nil && (r.Read(&cli.Client) != nil || cli.Client.url != "x" || cli.Client.name != "client") {
			t.Errorf("got %+v, %v", cli.Client, r.Read(&cli.Client))
		}
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	var cli struct {
		Server server `cmd:""`
	}
	k, err := kong.New(&cli, NewReader(nil).Flags(), kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = k.Parse([]string{"server", "--help"})
	for _, want := range []string{"Limits:\n", `--limits-size="10"`, "Largest size. (a number from 1 to 100, bytes)", "(a text, which is never", "default: none)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("--help does not say %q:\n%s", want, &out)
		}
	}
}
