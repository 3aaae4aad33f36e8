package restart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestFileIsTakenAsItIsWritten gives the first admin passwords that YAML would
// take for something else, and signs in with what stands in the file.
func TestFileIsTakenAsItIsWritten(t *testing.T) {
	for _, password := range []string{"01234567", "20182018.", "0x1F2E3D4C", "1_000_000_000", "1e3456789", "2018-01-02", "+12345678"} {
		t.Run(password, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "settings.yaml")
			if err := os.WriteFile(file, []byte("admin-password: "+password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := rig.LaunchIn(t, filepath.Join(dir, "data"), "--config", file)
			p.Login("admin", password)
		})
	}
}

func TestSettingGivenTwiceInTheFileIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("limits-packet: 4096\nlimits:\n  packet: 8192\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := rig.Attempt(t, nil, "", rig.ServeArgs(t.TempDir(), "--config", file, "--log-level", "none")...)
	if want := fmt.Sprintf("%s: [3:3] setting %q is given twice, first at [1:1]", file, "limits-packet"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
