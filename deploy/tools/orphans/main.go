// Command orphans fails when a program exports what nothing in it refers to, tests
// aside. It reads a list of what may be so all the same, and why.
//
//	orphans [-allow FILE] [-dead FILE] PACKAGES
//
// A line of -allow is a name, in which * stands for anything but a slash, and the
// reason. A line of that list that fits nothing is told, too. -dead has the output
// of deadcode, which finds what is reached from nowhere, with names like those
// here in front of each line: its lines are judged alike.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

func main() {
	allow := flag.String("allow", "", "file with what is allowed")
	dead := flag.String("dead", "", "file with further findings")
	flag.Parse()
	ok, err := run(os.Stdout, *allow, *dead, ".", flag.Args())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "orphans:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// run tells what is wrong, and reports whether nothing is.
func run(out io.Writer, allow, dead, dir string, patterns []string) (ok bool, err error) {
	found, err := orphans(dir, patterns)
	if err != nil {
		return false, err
	}
	further, err := table(dead)
	if err != nil {
		return false, err
	}
	allowed, err := table(allow)
	if err != nil {
		return false, err
	}
	maps.Copy(further, found)
	left, stale := judge(further, allowed)
	for _, name := range left {
		fmt.Fprintf(out, "%s: %s is used by nothing in the program: remove it, or give %s a line with the reason\n", further[name], name, allow)
	}
	for _, name := range stale {
		fmt.Fprintf(out, "%s: %s fits nothing any more: remove the line\n", allow, name)
	}
	return len(left)+len(stale) == 0, nil
}

// judge returns the names found that nothing allows, and what is allowed and was
// not found.
func judge(found, allowed map[string]string) (left, stale []string) {
	fits := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fit := false
		for pattern := range allowed {
			if matched, err := path.Match(pattern, name); matched && err == nil {
				fits[pattern], fit = true, true
			}
		}
		if !fit {
			left = append(left, name)
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(allowed)) {
		if !fits[pattern] {
			stale = append(stale, pattern)
		}
	}
	return left, stale
}

// table reads a file of lines that are a name and a text, if there is a file.
// Empty lines and those that begin with # count for nothing.
func table(file string) (map[string]string, error) {
	all := make(map[string]string)
	if file == "" {
		return all, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		name, text, ok := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !ok:
			return nil, fmt.Errorf("%s: %q has no reason", file, line)
		default:
			all[name] = strings.TrimSpace(text)
		}
	}
	return all, nil
}
