package restart

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// A disk that takes no more: no file of the process may grow. Nothing of the register
// can be changed then, and /readyz must say so.
func TestReadyzSeesAFullDisk(t *testing.T) {
	p := rig.Spawn(t, rig.UsedDir(t), "--sessions", "off")
	p.User("before")
	largest := func(bytes uint64) {
		t.Helper()
		if err := unix.Prlimit(p.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: math.MaxUint64}, nil); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Stat(p.Dir + "/mqttwarden.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	largest(uint64(log.Size())) // #nosec G115 -- sizes are not negative
	refused := 0
	for n := 0; refused < 10 && n < 10_000; n++ {
		a, err := p.Do("POST", "/users", rig.Object{"username": fmt.Sprint("user", n), "identityProvider": "local", "password": "pass-word"})
		if err != nil {
			t.Fatal(err)
		}
		if refused++; a.Status != http.StatusServiceUnavailable {
			refused = 0
		}
	}
	if refused < 10 {
		t.Fatal("there is room without end")
	}
	failed := p.Metric("mqttwarden_store_writes_failed_total")
	if failed < float64(refused) {
		t.Errorf("mqttwarden_store_writes_failed_total: got %v, want at least %d", failed, refused)
	}
	waitReady(t, p, http.StatusServiceUnavailable, `"store":false`)
	largest(math.MaxUint64)
	waitReady(t, p, http.StatusOK, `"store":true`)
	p.User("after")
}

// waitReady waits for an answer of /readyz, which may be a second old.
func waitReady(t *testing.T, p *rig.Program, status int, part string) {
	t.Helper()
	rig.Eventually(t, func() error {
		a, err := p.Send("GET", "/readyz", "")
		if err == nil && (a.Status != status || !strings.Contains(a.Body, part)) {
			err = fmt.Errorf("/readyz: got %d %s, want %d with %s", a.Status, a.Body, status, part)
		}
		return err
	})
}
