// Package rig starts the whole program for a test, as part of it or as a process,
// and speaks to it as operators and devices do.
package rig

import (
	"fmt"
	"os"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/program"
)

// ActAsProgram is the environment variable that makes the test binary be the
// program: tests that need a process start themselves, which spares building it anew.
const ActAsProgram = "TEST_ACTS_AS_PROGRAM"

// scratch is a directory for what tests share. It is removed in the end.
var scratch string

// Main runs the tests of a package. It is what their TestMain calls.
func Main(m *testing.M) {
	if os.Getenv(ActAsProgram) != "" {
		program.Main() // exits
	}
	os.Exit(withScratch(m.Run))
}

func withScratch(run func() int) (code int) {
	var err error
	if scratch, err = os.MkdirTemp("", "mqttwarden-test"); err == nil {
		code = run()
		err = os.RemoveAll(scratch)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
