package rig

import (
	"encoding/json"
	"net/http"
	"time"
)

// Register sends a request to become a user, as who has no account, and wants a
// status.
func (p *Program) Register(want int, name, csr string) Answer {
	p.TB.Helper()
	b, err := json.Marshal(Object{"username": name, "csr": csr, "context": "a test"})
	if err != nil {
		p.TB.Fatal(err)
	}
	a, err := p.Send("POST", "/api/client-registry/register", string(b), "Content-Type", "application/json")
	if err != nil {
		p.TB.Fatal(err)
	}
	if a.Status != want {
		p.TB.Fatalf("registration of %s: %d %s, want %d", name, a.Status, a.Body, want)
	}
	return a
}

// Open has registrations taken.
func (p *Program) Open(d time.Duration) {
	p.TB.Helper()
	p.Must(http.StatusNoContent, "POST", "/client-registry/open", Object{"duration": d.Milliseconds()})
}

// Confirm grants a registration, with further fields, and returns the user's id.
func (p *Program) Confirm(name string, fields Object) string {
	p.TB.Helper()
	c := Object{"username": name}
	for k, v := range fields {
		c[k] = v
	}
	return p.Must(http.StatusCreated, "POST", "/client-registry/confirm", c).Field(p, "id")
}

// Enrol walks a device through all of it: name.key and name.crt are there then.
// It returns the user's id.
func (k PKI) Enrol(p *Program, name string, fields Object) string {
	k.TB.Helper()
	p.Open(time.Minute)
	csr := k.Request(name)
	p.Register(http.StatusAccepted, name, csr)
	id := p.Confirm(name, fields)
	k.Write(name+".crt", p.Register(http.StatusCreated, name, csr).Field(p, "certificate"))
	return id
}
