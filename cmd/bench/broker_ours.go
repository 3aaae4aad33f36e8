package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// adminPassword is the password of the operator who sets the users up.
const adminPassword = "bench-Operator-7#"

// build builds the program as it is delivered, into dir.
func build(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "mqttwarden")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-o", file, "mqttwarden/cmd/mqttwarden") // #nosec G204 -- only the temporary directory varies
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, said)
	}
	return file, nil
}

// startOurs starts the program with its data in dir, and the settings that are
// given on top of the defaults.
func startOurs(ctx context.Context, program, dir string, env []string, settings ...string) (*process, error) {
	args := append([]string{
		"serve", "--data-dir", dir, "--mqtt-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0",
		"--admin-password", adminPassword,
		"--limits-publish-rate", "10000000", "--limits-publish-burst", "100000000", // counted, and never reached
		"--limits-work", "1s", // counted, too
		"--limits-request-rate", "10000000", "--limits-request-burst", "100000000",
		"--limits-connections-per-user", "10000000",
	}, settings...)
	return launch(ctx, []string{"mqtt", "http"}, env, program, args...)
}
