package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is a line of the table.
type row struct {
	work       string
	bare, ours string // what each costs; empty: there is no such thing
	found      spread // what the budget speaks of
	unit       string
	most       float64 // the budget; 0: there is none
	least      float64 // the budget of what should be high; 0: there is none
	failed     string  // why the budget is missed whatever the figure
}

// missed reports whether the budget is missed.
func (r row) missed() bool {
	return r.failed != "" || r.most != 0 && r.found.median > r.most || r.least != 0 && r.found.median < r.least
}

// cells returns the row as text.
func (r row) cells() []string {
	found := figure(r.found.median, r.unit)
	if r.found.low != r.found.high {
		found += fmt.Sprintf(" (%s to %s)", number(r.found.low), number(r.found.high))
	}
	budget, verdict := "", ""
	switch {
	case r.most != 0:
		budget, verdict = "at most "+figure(r.most, r.unit), "ok"
	case r.least != 0:
		budget, verdict = "at least "+figure(r.least, r.unit), "ok"
	}
	if r.missed() {
		verdict = "MISSED"
	}
	if r.failed != "" {
		verdict += ": " + r.failed
	}
	return []string{r.work, r.bare, r.ours, found, budget, verdict}
}

// columns are the titles of the cells.
func columns() []string {
	return []string{"work", "bare mochi", "mqttwarden", "median (range)", "budget", ""}
}

// writeText writes the table for a terminal.
func writeText(w io.Writer, title string, rows []row) error {
	if _, err := fmt.Fprintf(w, "\n%s\n\n", title); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns(), "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r.cells(), "\t"))
	}
	return t.Flush()
}

// writeMarkdown writes the table for a README.
func writeMarkdown(w io.Writer, title string, rows []row) error {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(columns())
	line([]string{"---", "---:", "---:", "---:", "---:", "---"})
	for _, r := range rows {
		line(r.cells())
	}
	_, err := fmt.Fprintf(w, "%s\n%s.\n", &b, title)
	return err
}

// figure returns a number with its unit.
func figure(v float64, unit string) string { return number(v) + " " + unit }

// number returns v with three digits that count.
func number(v float64) string {
	digits := 2
	switch a := max(v, -v); {
	case a >= 100:
		digits = 0
	case a >= 10:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// micros returns the median of values with its unit.
func micros(values []float64) string { return figure(spreadOf(values).median, "µs") }
