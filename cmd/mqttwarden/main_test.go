package main

import (
	"fmt"
	"os"
	"testing"
)

// actAsProgram, set in the environment, makes the test binary be the program:
// tests that need a process start themselves, which spares building it anew.
const actAsProgram = "TEST_ACTS_AS_PROGRAM"

// scratch is a directory for what tests share. It is removed in the end.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(actAsProgram) != "" {
		main() // exits
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
