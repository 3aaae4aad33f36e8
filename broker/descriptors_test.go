//go:build unix

package broker_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mqttwarden/broker"
)

// TestListenersOutliveAWantOfFiles has the listeners meet EMFILE, in a process
// of its own, since the limit is one of the process.
func TestListenersOutliveAWantOfFiles(t *testing.T) {
	const alone = "MQTTWARDEN_TEST_ALONE"
	if os.Getenv(alone) != "" {
		runOutOfFiles(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func runOutOfFiles(t *testing.T) {
	d := openDoors(t, new(open), func(cfg *broker.Config) { cfg.ConnectTimeout = time.Hour })
	early := d.through(t, "mqtt", nil, nil)
	early.connect("early", nil)

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"mqtt", "ws"} {
		var taken []*os.File
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			taken = append(taken, f)
		}
		if len(taken) < 3 {
			t.Fatal("there were no files to take")
		}
		_ = taken[0].Close() // for our end of the connection; there is none for the broker's
		nc, err := net.Dial("tcp", d.Addr(kind).String())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, kind+": the listener can't accept", func() bool {
			return strings.Contains(d.log.String(), `msg="listener can't accept connections" listener=`+kind)
		})
		early.Ping()
		for _, f := range taken[1:] {
			_ = f.Close()
		}
		if code := d.through(t, kind, nc, nil).connect("late", nil); code != 0 {
			t.Errorf("%s: CONNACK %#02x", kind, code)
		}
		if code := d.through(t, kind, nil, nil).connect("later", nil); code != 0 {
			t.Errorf("%s: CONNACK %#02x", kind, code)
		}
	}
}
