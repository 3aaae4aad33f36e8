// Command bench measures the broker against bare mochi-mqtt, the library in it,
// with a hook that allows everything, and prints a table of what the difference
// costs beside what it may cost.
//
// Both brokers are processes of their own, so that the CPU time of a message is
// the broker's and not that of the load, and they take turns: what disturbs the
// machine disturbs both. Ratios can be trusted, absolute figures are those of
// one machine. It needs Linux, whose /proc tells the CPU time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 2 && os.Args[1] == bareCommand {
		err = serveBare(os.Stdin, os.Stdout, os.Stderr) // until our parent ends
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// options say what is measured and for how long.
type options struct {
	rounds  int           // turns that each broker has at each piece of work
	slot    time.Duration // of a turn
	idle    int           // connections of the memory measurement
	newcome int           // first connects in a turn
	changes int           // rights that are taken from a live session
	attack  time.Duration // of each hostile load
	program string        // a ready-made mqttwarden; empty: it is built
}

// run is the program: everything that main hands it is what a test hands it too.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(progress)
	o := options{slot: 700 * time.Millisecond, idle: 4000, newcome: 150, changes: 200, attack: 6 * time.Second}
	fs.IntVar(&o.rounds, "rounds", 5, "turns that each broker has at each piece of work")
	fs.StringVar(&o.program, "program", "", "mqttwarden `file` to measure (default: built from this source)")
	only := fs.String("only", "", "comma-separated `names` of scenarios: "+names(scenarios())+"; with -hostile: "+names(loads()))
	quick := fs.Bool("quick", false, "short turns: for a first impression, not for a verdict")
	markdown := fs.Bool("markdown", false, "print the table for a README")
	hostile := fs.Bool("hostile", false, "measure what honest clients notice of hostile ones, and nothing else: about a minute and a half")
	strict := fs.Bool("strict", false, "exit 1 when a budget is missed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rounds < 1 || o.rounds > 100 {
		return fmt.Errorf("rounds: %d: must be 1 to 100", o.rounds)
	}
	if *quick {
		o.rounds = min(o.rounds, 3)
		o.slot, o.idle, o.newcome, o.changes = 175*time.Millisecond, 2000, 40, 40
		o.attack = 2 * time.Second
	}
	began := time.Now()
	rows, title, err := o.rows(ctx, *hostile, *only, progress)
	if err != nil {
		return err
	}
	title = fmt.Sprintf("%d cores, %s, %s, %v in all", runtime.NumCPU(), runtime.Version(), title, time.Since(began).Round(time.Second))
	write := writeText
	if *markdown {
		write = writeMarkdown
	}
	if err := write(out, title, rows); err != nil {
		return err
	}
	if *strict && slices.ContainsFunc(rows, row.missed) {
		return errors.New("a budget is missed")
	}
	return nil
}

// rows measures what was selected, and says how.
func (o options) rows(ctx context.Context, hostile bool, only string, progress io.Writer) (rows []row, how string, err error) {
	if hostile {
		selected, err := selectFrom(loads(), only)
		if err != nil {
			return nil, "", err
		}
		rows, err = measureHostile(ctx, o, selected, progress)
		return rows, fmt.Sprintf("hostile clients beside honest ones, each for %v", o.attack), err
	}
	selected, err := selectFrom(scenarios(), only)
	if err != nil {
		return nil, "", err
	}
	rows, err = measure(ctx, o, selected, progress)
	return rows, fmt.Sprintf("%d rounds of %v in turns", o.rounds, o.slot), err
}

// measure starts the brokers and runs the scenarios, one after the other.
func measure(ctx context.Context, o options, selected []scenario, progress io.Writer) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "mqttwarden-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(progress, "build and start")
	b, err := newBench(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	var rows []row
	for _, s := range selected {
		began := time.Now()
		found, err := s.run(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, found...)
		fmt.Fprintf(progress, "%-12s %v\n", s.name, time.Since(began).Round(100*time.Millisecond))
	}
	return rows, nil
}
