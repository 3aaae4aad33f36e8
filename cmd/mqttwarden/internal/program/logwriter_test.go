package program

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry/logtest"
)

// stalledPipe is standard output that nobody reads for now.
type stalledPipe struct {
	free chan struct{} // closed when it is read again
	into *logtest.Buffer
}

// Write implements io.Writer.
func (p *stalledPipe) Write(b []byte) (int, error) {
	<-p.free
	return p.into.Write(b)
}

func logConfigFor(bytes int) *logConfig { return &logConfig{logFormat: "text", logBuffer: bytes} }

// A log that nobody reads keeps nobody waiting; what does not fit is dropped, and
// that is told when it is read again.
func TestALogThatNobodyReads(t *testing.T) {
	pipe := &stalledPipe{make(chan struct{}), new(logtest.Buffer)}
	log := newLog(pipe, logConfigFor(4096))
	began := time.Now()
	var all sync.WaitGroup
	const lines = 1000
	for i := range 10 {
		all.Go(func() {
			for j := range lines / 10 {
				log.Info("line", "n", fmt.Sprint(i, "/", j))
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d lines took %v", lines, took)
	}
	dropped := log.writer.droppedLines()
	if dropped < lines/2 || dropped >= lines {
		t.Errorf("%d of %d lines were dropped, want most", dropped, lines)
	}
	close(pipe.free)
	log.writer.close(patience)
	written := pipe.into.Count("msg=line")
	if uint64(written)+dropped != lines { // #nosec G115 -- not negative
		t.Errorf("%d written and %d dropped, want %d in all", written, dropped, lines)
	}
	if pipe.into.Count(fmt.Sprint("dropped=", dropped, "\n")) != 1 {
		t.Errorf("nothing tells that lines were dropped:\n%s", pipe.into)
	}
	for line := range strings.Lines(pipe.into.String()) {
		if !strings.HasPrefix(line, "time=") || !strings.HasSuffix(line, "\n") {
			t.Fatalf("half a line: %q", line)
		}
	}
}

// While the log is read, a line is there when it was logged, in its order.
func TestALogThatIsRead(t *testing.T) {
	var out logtest.Buffer
	log := newLog(&out, logConfigFor(1<<20))
	for i := range 100 {
		log.Info("line", "n", i)
		if out.Count(fmt.Sprint("n=", i, "\n")) != 1 && !out.Await(fmt.Sprint("n=", i, "\n"), nil, patience) {
			t.Fatalf("line %d is not there", i)
		}
	}
	log.writer.close(patience)
	log.Info("after the end")
	if got := out.Count("\n"); got != 100 {
		t.Errorf("%d lines, want 100", got)
	}
}

// The end of the program does not wait for a log that nobody reads.
func TestTheEndDoesNotWaitForALogThatNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	log := newLog(w, logConfigFor(1<<20))
	log.Info("line")
	began := time.Now()
	log.writer.close(20 * time.Millisecond)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

func TestTheFormOfTheLog(t *testing.T) {
	for form, want := range map[string]string{"text": "level=INFO msg=line n=1", "json": `"msg":"line","n":1`} {
		var out bytes.Buffer
		log := newLog(&out, &logConfig{logLevel: slog.LevelInfo, logFormat: form, logBuffer: 1 << 20})
		log.Info("line", "n", 1)
		log.Debug("hidden")
		log.writer.close(patience)
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: %q", form, got)
		}
	}
}
