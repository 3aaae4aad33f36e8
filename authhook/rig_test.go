package authhook_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"mqttwarden/authhook"
	"mqttwarden/broker"
	"mqttwarden/broker/mqtttest"
	"mqttwarden/registry"
	"mqttwarden/registry/acl"
	"mqttwarden/registry/logtest"
)

// rig is the hook in the broker that it runs in, with a register in memory that is
// followed as the real one is.
type rig struct {
	*broker.Broker
	tb       testing.TB
	hook     *authhook.Hook
	store    *store
	follower *registry.Follower
	clock    *clock
	log      *logtest.Buffer
	file     string // of what survives a restart
	stop     func() // ends the broker and what follows the register

	judged atomic.Pointer[func(filter string)] // called after each judgement to read
}

// settings are those of a rig.
type settings struct {
	broker broker.Config
	hook   authhook.Config
}

// newRig starts a broker with the hook. change may alter the settings.
func newRig(tb testing.TB, change func(*settings)) *rig {
	tb.Helper()
	return startRig(tb, &rig{
		store: &store{accounts: make(map[registry.UserID]account), tokens: make(map[registry.TokenID]bool)},
		clock: &clock{now: time.Now()},
		file:  filepath.Join(tb.TempDir(), "sessions.db"),
	}, change)
}

// restart ends a rig and starts another one with its register, its clock and its
// sessions. meanwhile is what happens while there is no broker.
func (r *rig) restart(meanwhile func(), change func(*settings)) *rig {
	r.tb.Helper()
	r.stop()
	if meanwhile != nil {
		meanwhile()
	}
	return startRig(r.tb, &rig{store: r.store, clock: r.clock, file: r.file}, change)
}

// startRig starts r, which has a register, a clock and a file.
func startRig(tb testing.TB, r *rig, change func(*settings)) *rig {
	tb.Helper()
	log, buf := logtest.New()
	r.tb, r.log = tb, buf
	r.follower = registry.NewFollower(registry.FollowerConfig{Poll: time.Hour, Now: time.Now, Log: log}, r.store)
	principals := r.store.principals()
	s := r.settings(tb, principals)
	if change != nil {
		change(&s)
	}
	var err error
	if r.Broker, err = broker.New(s.broker, log); err != nil {
		tb.Fatal(err)
	}
	s.hook.Sessions = r.Broker
	r.hook = authhook.New(s.hook)
	if err := r.follower.Start(tb.Context(), principals, nil, r.hook); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { r.follower.Run(ctx) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		following.Wait()
		if err := r.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() { r.stop() })
	if err := broker.Start(r.Broker, watched{r.hook, r}); err != nil {
		tb.Fatal(err)
	}
	return r
}

func (r *rig) settings(tb testing.TB, principals *registry.Principals) settings {
	server := certificate(tb, "server", true)
	return settings{
		broker: broker.Config{
			Listeners: []broker.Listener{
				{Name: "mqtt", Address: "127.0.0.1:0"},
				{Name: "mqtts", Address: "127.0.0.1:0", TLS: &broker.TLS{
					Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return server, nil },
				}},
			},
			MaxSessionExpiry: time.Hour,
			MaxTopicLevels:   2 * acl.MaxLevels, // so that the policy is asked
			Sessions:         broker.Sessions{File: r.file, Flush: time.Minute},
			Now:              r.clock.Now, SweepInterval: time.Hour,
		},
		hook: authhook.Config{
			SignIn: tokenUsers{registry.NewSignIn(registry.SignInConfig{
				Principals: principals, Passwords: &registry.Passwords{Verifier: passwords{}}, Now: r.clock.Now,
			}), r.store},
			TokenAlive:  r.store.tokenAlive,
			Certificate: judge,
			Now:         r.clock.Now,
		},
	}
}

// watched is the hook, for tests in which something happens between its answer and
// what becomes of that.
type watched struct {
	*authhook.Hook
	rig *rig
}

// Connect implements broker.Hook.
func (w watched) Connect(ctx context.Context, cl *mqtt.Client, pk packets.Packet) (watchedLogin, error) {
	login, err := w.Hook.Connect(ctx, cl, pk)
	return watchedLogin{login, w.rig}, err
}

// Recall implements broker.Hook.
func (w watched) Recall(ctx context.Context, id, user string, proof []byte) (watchedLogin, error) {
	login, err := w.Hook.Recall(ctx, id, user, proof)
	return watchedLogin{login, w.rig}, err
}

type watchedLogin struct {
	*authhook.Login
	rig *rig
}

// MayRead implements broker.Login.
func (l watchedLogin) MayRead(name string) bool {
	ok := l.Login.MayRead(name)
	if f := l.rig.judged.Load(); f != nil {
		(*f)(name)
	}
	return ok
}

// user registers a user that signs in with the password "secret".
func (r *rig) user(name string, grants ...acl.Grant) {
	r.tb.Helper()
	r.change(name, func(rec *account) {
		rec.User = registry.User{
			ID:           registry.UserID(name + "-id"),
			Username:     name,
			Provider:     registry.ProviderLocal,
			Active:       true,
			GrantTypes:   []registry.GrantType{{Method: registry.MethodPassword}},
			PasswordHash: "secret",
			PasswordSet:  r.clock.Now(),
		}
		rec.Grants = grants
	})
}

// change alters what is registered of a user and returns when that is enforced.
func (r *rig) change(name string, f func(*account)) {
	r.tb.Helper()
	r.enforced(r.store.change(name, f))
}

// remove deletes a user and returns when that is enforced.
func (r *rig) remove(name string) {
	r.tb.Helper()
	r.enforced(r.store.remove(name))
}

func (r *rig) enforced(n uint64) {
	r.tb.Helper()
	r.follower.Wake()
	ctx, cancel := context.WithTimeout(r.tb.Context(), mqtttest.Patience)
	defer cancel()
	if err := r.follower.WaitEnforced(ctx, n); err != nil {
		r.tb.Fatalf("change %d is not enforced: %v", n, err)
	}
}

// grant gives a user these grants and no others.
func (r *rig) grant(name string, grants ...acl.Grant) {
	r.tb.Helper()
	r.change(name, func(rec *account) { rec.Grants = grants })
}

// dial connects to the broker, without a CONNECT.
func (r *rig) dial(version byte) *mqtttest.Client {
	r.tb.Helper()
	return mqtttest.Dial(r.tb, r.Addr("mqtt").String(), version)
}

// dialTLS connects by TLS and shows a certificate.
func (r *rig) dialTLS(cert *tls.Certificate) *mqtttest.Client {
	r.tb.Helper()
	dialer := tls.Dialer{Config: &tls.Config{Certificates: []tls.Certificate{*cert}, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(r.tb.Context(), "tcp", r.Addr("mqtts").String())
	if err != nil {
		r.tb.Fatal(err)
	}
	return mqtttest.New(r.tb, conn, 5)
}

// connect signs a user in with a client ID.
func (r *rig) connect(version byte, username, clientID string) *mqtttest.Client {
	r.tb.Helper()
	c := r.dial(version)
	c.MustConnect(as(username, clientID))
	return c
}

// as returns the CONNECT of a user.
func as(username, clientID string) mqtttest.Connect {
	return mqtttest.Connect{ClientID: clientID, Username: username, Password: "secret"}
}

// eventually waits for something that has no event to wait for.
func (r *rig) eventually(what string, ok func() bool) {
	r.tb.Helper()
	for deadline := time.Now().Add(mqtttest.Patience); !ok(); {
		if time.Now().After(deadline) {
			r.tb.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// settle waits until so many sessions are connected and stored.
func (r *rig) settle(connected, stored int) {
	r.tb.Helper()
	r.eventually("the sessions that should be left", func() bool {
		st := r.Stats()
		return st.SessionsConnected == connected && st.SessionsStored == stored
	})
}

func read(filter string) acl.Grant {
	return acl.Grant{Context: acl.MQTT, Operation: acl.Read, Resource: filter}
}

func write(filter string) acl.Grant {
	return acl.Grant{Context: acl.MQTT, Operation: acl.Write, Resource: filter}
}

func both(filter string) acl.Grant {
	return acl.Grant{Context: acl.MQTT, Operation: acl.ReadWrite, Resource: filter}
}

func (passwords) Check(_ context.Context, _, encoded, password string) (bool, error) {
	return encoded == password, nil
}

func (passwords) CheckNobody(context.Context, string, string) error { return nil }
