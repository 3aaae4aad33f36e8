package program

import (
	"strings"
	"testing"

	"mqttwarden/registry/logtest"
)

func TestVersionIsPrintedHoweverItIsAskedFor(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"serve", "--version"}} {
		out := new(logtest.Buffer)
		if err := Run(t.Context(), args, nil, strings.NewReader(""), out, out); err != nil || out.String() != "mqttwarden "+version+"\n" {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
}
