package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"
)

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown scenario", []string{"-only", "qos0,qos9"}, `"qos9": must be of qos0, `},
		{"an empty name in the list", []string{"-only", "qos0,"}, `"": must be of`},
		{"no rounds", []string{"-rounds", "0"}, "rounds: 0: must be 1 to 100"},
		{"an argument", []string{"qos0"}, `unexpected argument "qos0"`},
		{"an unknown flag", []string{"-fast"}, "-fast"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSelectScenariosKeepsTheOrderAsked(t *testing.T) {
	selected, err := selectFrom(scenarios(), "idle, qos0")
	if err != nil || len(selected) != 2 || selected[0].name != "idle" || selected[1].name != "qos0" {
		t.Errorf("got %d scenarios, error %v", len(selected), err)
	}
	if all, err := selectFrom(scenarios(), ""); err != nil || len(all) != len(scenarios()) {
		t.Errorf("got %d of %d scenarios, error %v", len(all), len(scenarios()), err)
	}
}

// bareHere runs the bare broker in this process, as b.bare.
func bareHere(t *testing.T) *bench {
	t.Helper()
	in, stop := io.Pipe()
	said, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- serveBare(in, out, io.Discard) }()
	t.Cleanup(func() {
		_ = stop.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(line), "mqtt://")
	return &bench{bare: &process{where: map[string]string{"mqtt": address}}, few: credentials{"alice", "secret"}}
}

// Every kind of load that the bare broker gets arrives as it was meant.
func TestLoadArrives(t *testing.T) {
	b := bareHere(t)
	for name, prepare := range map[string]func(*crew) (lane, error){
		"1:1, QoS 0": func(c *crew) (lane, error) { return c.oneToOne(t.Context(), b, b.bare, b.few, 20, 0) },
		"1:1, QoS 1": func(c *crew) (lane, error) { return c.oneToOne(t.Context(), b, b.bare, b.few, 20, 1) },
		"1:200":      func(c *crew) (lane, error) { return c.oneToMany(t.Context(), b, b.bare) },
		"to nobody":  func(c *crew) (lane, error) { return c.toNobody(t.Context(), b, b.bare, mqtt5, 1) },
		"pinged":     func(c *crew) (lane, error) { return c.toNobody(t.Context(), b, b.bare, mqtt311, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			var all crew
			l, err := prepare(&all)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time with packet identifiers that were used before
				for _, part := range l.parts {
					if n, err := part(); err != nil || n == 0 {
						t.Fatalf("%d operations, %v", n, err)
					}
				}
			}
			if err := all.dismiss(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcknowledgedTellsARefusal(t *testing.T) {
	b := bareHere(t)
	c, err := b.dial(t.Context(), b.bare, mqtt5, b.few)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Write(appendPublish(nil, mqtt5, "a", 1, 1, nil)); err != nil {
		t.Fatal(err)
	}
	if err := c.acknowledged(1, false); err == nil {
		t.Error("a publish that was allowed passes for a denied one")
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
}

func TestABrokerThatDoesNotStartIsNotWaitedFor(t *testing.T) {
	began := time.Now()
	_, err := launch(t.Context(), []string{"mqtt"}, nil, "sh", "-c", "echo listening >&2; echo http://here; echo mqtt; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "listening") {
		t.Errorf("got %v, want the exit status and what it said", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
