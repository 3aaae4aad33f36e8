package apitest

import (
	"context"
	"log/slog"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/ca"
	"mqttwarden/registry/secret"
)

// parts are the parts of the registry that the HTTP side works with.
type parts struct {
	service    *registry.Service
	signIn     *registry.SignIn
	principals *registry.Principals
	anchors    *registry.Anchors
	follower   *registry.Follower // not started
}

// open assembles the registry over a store. It is the one place here that does,
// and does it as openStore, startCache, startTLS and startFollower do in
// cmd/mqttwarden, except for the cheapest hashes that there are, a fixed master
// key, and a follower that looks for changes only when it is told of one.
func open(ctx context.Context, store registry.Store, log *slog.Logger) (*parts, error) {
	keys, err := secret.NewKeyRing(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	if err := registry.CheckMasterKey(ctx, store, keys); err != nil {
		return nil, err
	}
	signer, err := registry.OpenSigner(ctx, store, keys, "mqttwarden")
	if err != nil {
		return nil, err
	}
	issuer, err := registry.OpenIssuer(ctx, store, keys, ca.Config{}, time.Now)
	if err != nil {
		return nil, err
	}
	p := &parts{follower: registry.NewFollower(registry.FollowerConfig{Poll: time.Hour, Now: time.Now, Log: log}, store)}
	pool := secret.NewPool(secret.PoolConfig{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})
	verifier := secret.NewVerifier(pool, secret.VerifierConfig{Now: time.Now})
	p.service = registry.NewService(registry.ServiceConfig{
		Store: store, Passwords: pool, Checker: verifier, Signer: signer, Policy: registry.DefaultPasswordPolicy(),
		Certificates: registry.CertificateConfig{Issuer: issuer},
		Changed:      p.follower.Wake, Now: time.Now, Log: log,
	})
	p.principals = registry.NewPrincipals(store, 1000, p.follower.Fresh)
	p.anchors = registry.NewAnchors(registry.AnchorsConfig{Store: store, Own: issuer.Certificates, Now: time.Now})
	if err := p.anchors.Reload(ctx); err != nil {
		return nil, err
	}
	p.signIn = registry.NewSignIn(p.principals, verifier, store, signer, time.Now)
	p.signIn.TrustAnchors(p.anchors)
	p.signIn.Strangers(p.service.Knock)
	p.signIn.CertificateUsed(p.service.CertificateUsed)
	p.follower.OnGeneral(issuer.Reload)
	p.follower.OnGeneral(p.anchors.Reload)
	return p, nil
}
