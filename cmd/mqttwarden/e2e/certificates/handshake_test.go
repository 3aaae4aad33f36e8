package certificates

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// TestFailedHandshakesSayWhoAndWhy (O7): an operator who reads that a device does not come
// in must find its address and a reason, whatever door it came to.
func TestFailedHandshakesSayWhoAndWhy(t *testing.T) {
	p := rig.Launch(t, append(rig.Secure, "--tls-client-auth", "required")...)
	k := p.Authority()
	openssl := func(args ...string) func(from, address string) {
		return func(from, address string) {
			ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
			defer cancel()
			_ = exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-bind", from + ":0", "-connect", address}, args...)...).Run() // #nosec G204 -- ours
		}
	}
	for i, tt := range []struct {
		name string
		come func(from, address string)
		want string
	}{
		{"a version that is too old", openssl("-tls1_1", "-cipher", "ALL@SECLEVEL=0"), "client offered only unsupported versions"},
		{"no cipher suite in common", openssl("-tls1_2", "-cipher", "AES128-SHA256:@SECLEVEL=0"), "no cipher suite supported"},
		{"no certificate where one must be", openssl("-tls1_2"), "client didn't provide a certificate"},
		{"a name that the client does not expect", openssl("-tls1_2", "-verify_return_error", "-CAfile", k.Path("root.crt"), "-verify_hostname", "other.example"), "remote error: tls: "},
		{"no TLS at all", func(from, address string) {
			nc, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(rig.Patience))
			_, _ = nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			_, _ = bufio.NewReader(nc).ReadByte()
		}, "TLS handshake: "},
	} {
		from := fmt.Sprintf("127.0.0.%d", 2+i) // what comes again from one address is collapsed
		for _, scheme := range []string{"mqtts", "https"} {
			before := p.Log.String()
			tt.come(from, p.URLs[scheme])
			rig.Eventually(t, func() error {
				log := strings.TrimPrefix(p.Log.String(), before)
				return toldOf(log, tt.name, "level=INFO", `"connection refused"`, "remote="+from, "listener="+scheme, tt.want)
			})
		}
	}
}

// toldOf looks for the line about a connection, which says all that is wanted.
func toldOf(log, name string, wants ...string) error {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(wants, func(want string) bool { return !strings.Contains(line, want) }) {
			return nil
		}
	}
	return fmt.Errorf("%s: no line says %q:\n%s", name, wants, log)
}
