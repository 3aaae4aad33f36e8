package adminapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mqttwarden/adminapi"
	"mqttwarden/adminapi/internal/apitest"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

// These tests are about time, so they run in a bubble of it, with the limits that
// the program has, over pipes, and over a registry that does nothing.

// pipes is a listener whose connections are the ends of pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error { close(p); return nil }

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

// idle is a registry in which little happens. Its one user has the token "good"
// and all rights.
type idle struct {
	v1.Service
	v1.Registrations
	adminapi.Certificates
}

func (idle) CountLogin(netip.Addr) error                    { return nil }
func (idle) Logout(context.Context, string) (uint64, error) { return 7, nil }

func (idle) DeleteUser(context.Context, registry.Caller, registry.UserID) (uint64, error) {
	return 7, nil
}

func (idle) In(context.Context, registry.Attempt) (registry.Login, error) {
	return registry.Login{}, registry.Unauthenticated
}

func (i idle) Token(ctx context.Context, token string) (registry.Login, error) {
	if token != "good" {
		return registry.Login{}, registry.Unauthenticated
	}
	s, err := registry.NewPrincipals(registry.PrincipalsConfig{
		Store: one{}, Roles: registry.NewHeldRoles(), Fresh: func() bool { return true },
	}).ByName(ctx, "somebody")
	return registry.Login{Subject: s}, err
}

// one is a store with one user, who has all rights.
type one struct{ registry.RecordReader }

func (one) RecordByName(context.Context, string) (registry.Record, error) {
	u := registry.User{ID: "1", Username: "somebody", Roles: []registry.RoleID{"1"}, Version: 1}
	return registry.Record{User: u, RoleVersions: []uint64{1}}, nil
}

func (one) RolesByID(context.Context, []registry.RoleID) ([]registry.Role, error) {
	all := registry.Permission{ID: "1", Context: acl.HTTP, Operation: acl.ReadWrite, Resource: "/#"}
	return []registry.Role{{ID: "1", Permissions: []registry.Permission{all}, Version: 1}}, nil
}

// slow is a follower that takes its time.
type slow time.Duration

func (slow) Enforced() uint64 { return 0 }

func (s slow) WaitEnforced(ctx context.Context, _ uint64) error {
	select {
	case <-time.After(time.Duration(s)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dial starts our server and returns a connection to it. Both end with the test.
func dial(t *testing.T, follower adminapi.Follower) net.Conn {
	t.Helper()
	h, err := adminapi.New(adminapi.Config{
		Service: idle{}, Registrations: idle{}, Certificates: idle{}, SignIn: idle{}, Follower: follower, Retained: &apitest.Retained{}, Clients: &apitest.Clients{},
		Position: func(context.Context) (registry.Position, error) { return registry.Position{Number: 7}, nil },
		Ready:    func(context.Context) adminapi.Readiness { return nil },
		Now:      time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv, ln := adminapi.Server(h), make(pipes)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	ours, theirs := net.Pipe()
	ln <- theirs
	t.Cleanup(func() { ours.Close(); srv.Close(); <-done })
	return ours
}

// The time to read a request ends with the request: a handler that waits longer
// keeps its connection.
func TestReadDeadlineEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wait = 50 * time.Second // more than the time to read, less than the time to write
		conn, started := dial(t, slow(wait)), time.Now()
		for _, tt := range []struct{ name, request, body string }{ // on one connection
			{"with a body", "POST /api/logout", `{"token": "x"}`},
			{"without one", "DELETE /api/users/x", ""},
		} {
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nPrefer: wait=60\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", tt.request, len(tt.body), tt.body)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK || res.Header.Get("Preference-Applied") != "wait=60" {
				t.Errorf("%s: got %d, Preference-Applied %q", tt.name, res.StatusCode, res.Header.Get("Preference-Applied"))
			}
		}
		if took := time.Since(started); took != 2*wait {
			t.Errorf("it took %v, want %v", took, 2*wait)
		}
	})
}

func TestSlowBodiesAreGivenUp(t *testing.T) {
	const limit = 30 * time.Second
	for name, tt := range map[string]struct {
		token string
		want  int
	}{
		"of somebody": {"good", http.StatusRequestTimeout},
		"of nobody":   {"bad", http.StatusUnauthorized}, // net/http reads what is small before it answers
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, started := dial(t, slow(0)), time.Now()
				fmt.Fprintf(conn, "POST /api/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", tt.token)
				reader := bufio.NewReader(conn)
				res, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if took := time.Since(started); res.StatusCode != tt.want || took != limit {
					t.Errorf("got %d after %v, want %d after %v", res.StatusCode, took, tt.want, limit)
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					t.Fatal(err)
				}
				if n, err := reader.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("the connection stays open: %d %v", n, err)
				}
				if took := time.Since(started); took > limit+time.Second {
					t.Errorf("the connection ends after %v", took)
				}
			})
		})
	}
}

// Whoever sends no header, or less than a whole one, is cut off.
func TestSlowHeadersAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, started := dial(t, slow(0)), time.Now()
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost:")
		answer, err := io.ReadAll(conn)
		if took := time.Since(started); err != nil || strings.Contains(string(answer), " 200 ") || took > 15*time.Second {
			t.Errorf("got %q, %v after %v", answer, err, took)
		}
	})
}

func TestServerHasLimits(t *testing.T) {
	s := adminapi.Server(http.NotFoundHandler())
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout <= 60*time.Second || s.IdleTimeout == 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %+v", s)
	}
}
