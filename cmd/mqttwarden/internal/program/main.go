// Package program is mqttwarden: its commands, its settings, and how its parts are
// fitted together.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"mqttwarden/cmd/mqttwarden/internal/settings"
)

// version is stamped by the build.
var version = "dev"

// Main runs the program as the process that it is, and ends it.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 0
	if err := Run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mqttwarden:", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

// commands is the command line.
type commands struct {
	Serve       serveCmd         `cmd:"" help:"Run the broker and its API."`
	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
	Version     versionCmd       `cmd:"" help:"Print the version."`
	Healthcheck healthcheckCmd   `cmd:"" help:"Ask a running server whether it is ready; exit 0 if so."`
	User        struct {
		SetPassword setPasswordCmd `cmd:"" help:"Set a user's password, in the store itself. The password is read from standard input."`
	} `cmd:"" help:"Change users in the store itself."`
	CA     caCommands `cmd:"" name:"ca" help:"Look after the certificate authority in the store itself."`
	Enroll enrollCmd  `cmd:"" help:"Register this device with a server and keep the certificate it is given."`
	Copy   copyCmd    `cmd:"" help:"Copy the register from SQLite to PostgreSQL, or back, while no server runs."`
	Key    struct {
		New newKeyCmd `cmd:"" help:"Make a file with a new master key."`
	} `cmd:"" help:"Make master keys."`
}

// streams are the ends that the outside world holds.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Run is the program: everything that Main hands it is what a test hands it too.
func Run(ctx context.Context, args, environ []string, in io.Reader, out, errOut io.Writer) error {
	return UsualPace().Run(ctx, args, environ, in, out, errOut)
}

// Run is the program at another pace.
func (pace Pace) Run(ctx context.Context, args, environ []string, in io.Reader, out, errOut io.Writer) error {
	exited := errors.New("exited")
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("mqttwarden"),
		kong.Description("An MQTT broker that knows who may do what.\n\nEvery setting may also stand in the file of --config, under its name without dashes in front, or in the environment as MQTTWARDEN_<NAME>: file < environment < flag."),
		kong.Vars{"version": "mqttwarden " + version},
		kong.Writers(out, errOut),
		kong.Exit(func(int) { panic(exited) }), // after --help; there is nothing else to do then
		settings.NewReader(environ).Flags(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{in, out, errOut}, pace),
		kong.UsageOnError(),
	)
	if err != nil {
		return err
	}
	return untilExit(exited, func() error {
		if len(args) == 0 {
			args = []string{"--help"}
		}
		parsed, err := parser.Parse(args)
		if err != nil {
			return err
		}
		return parsed.Run()
	})
}

// untilExit runs f and takes a panic with exited for a return.
func untilExit(exited error, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil && p != any(exited) {
			panic(p)
		}
	}()
	return f()
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "mqttwarden", version)
	return err
}
