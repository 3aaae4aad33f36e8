package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestTextDoesNotPrint(t *testing.T) {
	type config struct {
		Broker Text
		Nodes  []Text
		ByName map[string]Text
	}
	const hidden = Text("hunter2")
	c := config{hidden, []Text{hidden}, map[string]Text{"a": hidden}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n"+verb+"\n", hidden, c, &c)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "password", hidden, "config", c)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "password", hidden, "config", c)
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	for name, leak := range map[string]string{"text": "hunter", "hex": "68756e", "capital hex": "68756E", "cut": "hun"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the secret is shown as %s:\n%s", name, out.String())
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("no mask:\n%s", out.String())
	}
	if got := hidden.LogValue().String(); got != "[redacted]" {
		t.Errorf("LogValue = %q", got)
	}
	if got := hidden.Reveal(); got != "hunter2" {
		t.Errorf("Reveal = %q", got)
	}
	if got := fmt.Sprintf("%#v", hidden); got != `secret.Text("[redacted]")` {
		t.Errorf("%%#v = %s", got)
	}
	if got := fmt.Sprint(Text("")); got != "" {
		t.Errorf("an unset secret prints as %q", got)
	}
}

func TestTextReadsAsAString(t *testing.T) {
	var c struct{ Broker Text }
	if err := json.Unmarshal([]byte(`{"Broker": "hunter2"}`), &c); err != nil || c.Broker.Reveal() != "hunter2" {
		t.Errorf("got %q, %v", c.Broker.Reveal(), err)
	}
}

func TestRandomPassword(t *testing.T) {
	form := regexp.MustCompile(`^([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}$`)
	seen := map[rune]bool{}
	last := ""
	for range 100 {
		got, err := RandomPassword(rand.Reader)
		if err != nil || !form.MatchString(got) || got == last {
			t.Fatalf("got %q after %q, %v", got, last, err)
		}
		last = got
		for _, c := range got {
			seen[c] = true
		}
	}
	if len(seen) != 33 { // 32 and the dash
		t.Errorf("%d characters in use, want 33", len(seen))
	}
	if got, err := RandomPassword(bytes.NewReader(make([]byte, 19))); err == nil || got != "" {
		t.Errorf("made %q of too little", got)
	}
}
