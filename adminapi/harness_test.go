package adminapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/bearer"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/secret"
	"mqttwarden/registry/sqlstore"
)

const adminPassword = "the-admin's-password"

// signingKey is made once: RSA keys are slow.
var signingKey = sync.OnceValues(func() ([]byte, error) { return bearer.NewKey(nil) })

// template is a store that has had its first start: to migrate one for each test
// would take most of their time.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "adminapi")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	store, err := sqlstore.Open(context.Background(), sqlstore.Config{Path: path})
	if err != nil {
		return nil, err
	}
	service := registry.NewService(registry.ServiceConfig{
		Store: store, Passwords: secret.NewPool(cheap), Policy: registry.DefaultPasswordPolicy(), Now: time.Now,
	})
	_, err = service.Bootstrap(context.Background(), adminPassword)
	_, issuing := openIssuer(context.Background(), store)
	if err := errors.Join(err, issuing, store.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// openIssuer returns the certificate authority of a store.
func openIssuer(ctx context.Context, store *sqlstore.Store) (*registry.Issuer, error) {
	ring, err := secret.NewKeyRing(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return registry.OpenIssuer(ctx, store, ring, ca.Config{}, time.Now)
}

// cheap are the cheapest hashes that there are.
var cheap = secret.PoolConfig{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}}

// world is the whole HTTP side over a real register in a store of its own.
type world struct {
	*testing.T
	handler  http.Handler
	store    *sqlstore.Store
	service  *registry.Service
	anchors  *registry.Anchors
	follower *registry.Follower
	log      *lines
	retained *shelf
	admin    string // a token with all rights
}

// newWorld starts a world. tweak, which may be nil, changes the configuration.
func newWorld(t *testing.T, tweak func(*Config)) *world {
	t.Helper()
	w := newBareWorld(t, tweak)
	w.admin = w.login("admin", adminPassword)
	return w
}

func newBareWorld(t testing.TB, tweak func(*Config)) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{log: &lines{}, retained: new(shelf)}
	w.T, _ = t.(*testing.T)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	path := filepath.Join(t.TempDir(), "test.db")
	started, err := template()
	must(err)
	must(os.WriteFile(path, started, 0o600))
	store, err := sqlstore.Open(context.WithoutCancel(t.Context()), sqlstore.Config{Path: path, Log: log})
	must(err)
	key, err := signingKey()
	must(err)
	signer, err := bearer.NewSigner(key, "mqttwarden")
	must(err)
	pool := secret.NewPool(cheap)
	verifier := secret.NewVerifier(pool, secret.VerifierConfig{})
	w.store = store
	w.follower = registry.NewFollower(registry.FollowerConfig{Poll: time.Hour, Now: time.Now, Log: log}, store)
	issuer, err := openIssuer(t.Context(), store)
	must(err)
	w.anchors = registry.NewAnchors(registry.AnchorsConfig{Store: store, Own: issuer.Certificates, Now: time.Now})
	w.service = registry.NewService(registry.ServiceConfig{
		Certificates: registry.CertificateConfig{Issuer: issuer},
		Store:        store, Passwords: pool, Checker: verifier, Signer: signer, Policy: registry.DefaultPasswordPolicy(),
		Changed: w.follower.Wake, Now: time.Now, Log: log,
	})
	principals := registry.NewPrincipals(store, 1000, w.follower.Fresh)
	w.follower.OnGeneral(w.anchors.Reload)
	must(w.follower.Start(t.Context(), principals, nil))
	signIn := registry.NewSignIn(principals, verifier, store, signer, time.Now)
	signIn.TrustAnchors(w.anchors)
	signIn.CertificateUsed(w.service.CertificateUsed)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.follower.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		must(store.Close())
	})
	cfg := Config{
		Service: w.service,
		SignIn:  signIn,
		Certificate: func(state *tls.ConnectionState) *registry.Certificate {
			return w.anchors.Certificate(state.PeerCertificates, registry.MapCommonName)
		},
		Follower:        w.follower,
		Retained:        w.retained,
		LastChange:      store.LastChange,
		Ready:           func(context.Context) Readiness { return Readiness{{Name: "store"}} },
		AllowQueryToken: true,
		Version:         "test",
		Now:             time.Now,
		Log:             log,
	}
	if tweak != nil {
		tweak(&cfg)
	}
	w.handler, err = New(cfg)
	must(err)
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// decode reads the body into v.
func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// send sends a request as it is. headers are names and values in turn.
func (w *world) send(method, target, body string, headers ...string) answer {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

// as sends a JSON request with a token.
func (w *world) as(token, method, target, body string, headers ...string) answer {
	headers = append(headers, "Authorization", "Bearer "+token)
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	return w.send(method, target, body, headers...)
}

// do sends a JSON request as the administrator.
func (w *world) do(method, target, body string, headers ...string) answer {
	return w.as(w.admin, method, target, body, headers...)
}

// must sends a JSON request as the administrator and wants a status.
func (w *world) must(status int, method, target, body string) answer {
	w.Helper()
	a := w.do(method, target, body)
	if a.status != status {
		w.Fatalf("%s %s %s: got %d %s, want %d", method, target, body, a.status, a.body, status)
	}
	return a
}

// login returns a token of a user.
func (w *world) login(username, password string) string {
	w.Helper()
	a := w.send("POST", "/api/login", mustJSON(w, map[string]string{"username": username, "password": password}), "Content-Type", "application/json")
	if a.status != http.StatusOK {
		w.Fatalf("login of %s: got %d %s", username, a.status, a.body)
	}
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		w.Fatal(err)
	}
	return got.Token
}

// user makes a user with permissions of its own, each "operation resource" in
// the http context, or "context operation resource", and returns its id.
func (w *world) user(name string, permissions ...string) string {
	w.Helper()
	type permission struct {
		Resource  string `json:"resource"`
		Operation string `json:"operation"`
		Context   string `json:"context"`
		Effect    string `json:"effect,omitempty"`
	}
	own := []permission{}
	for _, p := range permissions {
		f := strings.Fields(p)
		if len(f) == 2 {
			f = append([]string{"http"}, f...)
		}
		own = append(own, permission{Context: f[0], Operation: f[1], Resource: f[2]})
	}
	a := w.must(http.StatusCreated, "POST", "/api/users", mustJSON(w, map[string]any{
		"username": name, "identityProvider": "local", "password": "password-of-" + name, "initialPermissions": own,
	}))
	return idOf(w, a)
}

// token makes a user as user does and returns a token of it.
func (w *world) token(name string, permissions ...string) string {
	w.Helper()
	w.user(name, permissions...)
	return w.login(name, "password-of-"+name)
}

// idOf returns the id in an answer.
func idOf(t testing.TB, a answer) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.ID == "" {
		t.Fatalf("no id in %s", a.body)
	}
	return v.ID
}

// roleID returns the id of the role with a name.
func (w *world) roleID(name string) string {
	w.Helper()
	var roles []struct{ ID string }
	a := w.must(http.StatusOK, "GET", "/api/roles?name[eq]="+name, "")
	if err := json.Unmarshal([]byte(a.body), &roles); err != nil || len(roles) != 1 {
		w.Fatalf("role %s: got %s", name, a.body)
	}
	return roles[0].ID
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// message returns the message of an error, and fails unless a is one with that
// status, in the shape that all errors have.
func message(t testing.TB, a answer, status int) string {
	t.Helper()
	var e struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
	}
	if a.status != status {
		t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	a.decode(t, &e)
	if e.StatusCode != status || e.Error != http.StatusText(status) || e.Message == "" {
		t.Fatalf("got %s, want statusCode %d, its name and a message", a.body, status)
	}
	return e.Message
}

// lines is a log that may be written while it is read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// settle waits until every change so far is enforced.
func (w *world) settle() {
	w.Helper()
	last, err := w.store.LastChange(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.follower.WaitEnforced(w.Context(), last); err != nil {
		w.Fatal(err)
	}
}

// decodeLoosely reads the fields of the body that v has.
func (a answer) decodeLoosely(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}
