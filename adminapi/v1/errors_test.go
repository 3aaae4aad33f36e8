package v1_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttwarden/adminapi/internal/request"
	"mqttwarden/adminapi/internal/wire"
	v1 "mqttwarden/adminapi/v1"
	"mqttwarden/registry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// What each error looks like, to the byte.
func TestErrorsOnTheWire(t *testing.T) {
	var got strings.Builder
	cause := errors.New("cause: with internals")
	for _, c := range []struct {
		name string
		err  error
	}{
		{"not found", registry.Errorf(registry.NotFound, "", "there is no user 42")},
		{"conflict", registry.Errorf(registry.Conflict, "username", "alice is taken")},
		{"invalid", registry.Errorf(registry.Invalid, "username", "must not hold <white space> & more")},
		{"weak password", registry.Errorf(registry.WeakPassword, "password", "must have at least 5 characters")},
		{"forbidden", registry.Errorf(registry.Forbidden, "", "your own rights do not cover it")},
		{"unauthenticated", registry.Errorf(registry.Unauthenticated, "", "the token is not valid")},
		{"locked", registry.Errorf(registry.Locked, "", "too many failures")},
		{"busy", &registry.Error{Code: registry.Busy, Detail: "too many logins at once", Err: cause}},
		{"unavailable", &registry.Error{Code: registry.Unavailable, Detail: "the store can't be reached", Err: cause}},
		{"last administrator", registry.Errorf(registry.LastAdmin, "", "nobody would be left")},
		{"internal", &registry.Error{Code: registry.Internal, Field: "f", Detail: "internals", Err: cause}},
		{"a code alone", registry.NotFound},
		{"an error in another", fmt.Errorf("internals: %w", registry.Errorf(registry.Conflict, "", "it is taken"))},
		{"no code", cause},
		{"no error", nil},
		{"given up", context.Canceled},
		{"out of time", fmt.Errorf("internals: %w", context.DeadlineExceeded)},
		{"a problem", wire.NewClientError(http.StatusUnsupportedMediaType, "must be JSON")},
	} {
		info := &request.Info{Dialect: v1.Dialect()}
		r := httptest.NewRequestWithContext(request.With(t.Context(), info), http.MethodGet, "/", nil)
		w := httptest.NewRecorder()
		request.Fail(w, r, c.err)
		fmt.Fprintf(&got, "# %s\n%d", c.name, w.Code)
		for _, name := range slices.Sorted(maps.Keys(w.Header())) {
			fmt.Fprintf(&got, " %s: %s", name, w.Header().Get(name))
		}
		fmt.Fprintf(&got, "\n%s\n", w.Body)
		if strings.Contains(w.Body.String(), "internals") {
			t.Errorf("%s: the answer tells internals", c.name)
		}
		if (info.Cause != nil) != (w.Code >= 500 && c.err != nil) {
			t.Errorf("%s: %d, cause is %v", c.name, w.Code, info.Cause)
		}
	}
	path := filepath.Join("testdata", "errors.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("run with -update, and read the diff:\n%s", diff)
	}
}
