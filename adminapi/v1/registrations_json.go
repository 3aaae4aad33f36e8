package v1

import (
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
)

// newRegistrationJSON is a request to become a user.
type newRegistrationJSON struct {
	Username           string              `json:"username" minLength:"3" maxLength:"255" doc:"The name to get; nobody else may have it." example:"iot.device.0123456"`
	Password           string              `json:"password,omitempty" minLength:"5" maxLength:"1024" writeOnly:"true" doc:"Must keep the password policy. Either this or csr." example:"secret-password"`
	CSR                string              `json:"csr,omitempty" maxLength:"16384" doc:"A certificate request, PKCS#10 in PEM, or the base64 of that; its common name is the username. Either this or password."`
	Context            string              `json:"context" maxLength:"1024" doc:"For the person who decides." example:"IoT Device Serial Number <0123456>"`
	Roles              []string            `json:"roles,omitempty" maxItems:"32" doc:"The names of roles that are wished for. Whoever confirms decides." example:"[\"line-operators\"]"`
	InitialPermissions []newPermissionJSON `json:"initialPermissions,omitempty" maxItems:"64" doc:"Permissions that are wished for. Whoever confirms decides."`
	Permissions        []newPermissionJSON `json:"permissions,omitempty" maxItems:"64" doc:"Another name for initialPermissions."`
}

// registrationJSON says how far a registration is.
type registrationJSON struct {
	Status         string `json:"status" enum:"locked,pending,denied,granted" example:"granted"`
	Username       string `json:"username,omitempty" doc:"When pending or granted." example:"iot.device.0123456"`
	ID             string `json:"id,omitempty" doc:"When pending: what the list calls it."`
	PairingCode    string `json:"pairingCode,omitempty" doc:"When pending: six characters that the list shows too. A device that can show them lets a person recognize it." example:"7KQ2MX"`
	Certificate    string `json:"certificate,omitempty" doc:"When granted to a request with a csr: PEM."`
	CACertificates string `json:"caCertificates,omitempty" doc:"Likewise: PEM, the issuer first, the root last."`
}

// pendingJSON is a registration that waits for a decision.
type pendingJSON struct {
	ID                 string     `json:"id"`
	Username           string     `json:"username" example:"iot.device.0123456"`
	PairingCode        string     `json:"pairingCode" doc:"The one that the device was told." example:"7KQ2MX"`
	Context            string     `json:"context" doc:"What the client says about itself; nobody has checked it."`
	Roles              []string   `json:"roles" doc:"The names of roles that it wishes for."`
	InitialPermissions []wishJSON `json:"initialPermissions" doc:"Permissions that it wishes for."`
	HasCSR             bool       `json:"hasCsr" doc:"Whether it asks for a certificate, not with a password."`
	Source             string     `json:"source" enum:"http,mqtt" doc:"http: it posted a request; mqtt: it tried to connect."`
	Remote             string     `json:"remote" doc:"The address that it came from." example:"192.0.2.7"`
	FirstSeen          wire.Time  `json:"firstSeen"`
	LastSeen           wire.Time  `json:"lastSeen" doc:"Exact to a few seconds."`
}

// wishJSON is a permission that is wished for, and has no id yet.
type wishJSON struct {
	Resource  string `json:"resource" example:"site1/#"`
	Operation string `json:"operation" enum:"read,write,readWrite"`
	Context   string `json:"context" enum:"mqtt,http"`
	Effect    string `json:"effect" enum:"allow,deny"`
}

// windowJSON is the state of the window.
type windowJSON struct {
	Locked    bool       `json:"locked" doc:"Whether no registrations are taken."`
	OpenUntil *wire.Time `json:"openUntil" nullable:"true" doc:"null while locked."`
	Remaining int64      `json:"remaining" doc:"Milliseconds; 0 while locked." example:"30000"`
}

// openingJSON says for how long to take registrations.
type openingJSON struct {
	Duration *int64 `json:"duration,omitempty" minimum:"1" maximum:"86400000" doc:"In milliseconds. Missing: 30000. An open window starts again." example:"300000"`
}

// confirmationJSON grants a registration.
type confirmationJSON struct {
	Username           string              `json:"username" minLength:"3" maxLength:"255" example:"iot.device.0123456"`
	ID                 string              `json:"id,omitempty" maxLength:"64" doc:"Of the registration that is meant: another one of this name is 409."`
	PairingCode        string              `json:"pairingCode,omitempty" maxLength:"64" doc:"That the device shows: another one is 409. Case does not count." example:"7KQ2MX"`
	MQTTPublishPrefix  string              `json:"mqttPublishPrefix,omitempty" maxLength:"512" doc:"Put in front of every topic the user publishes to, as it is: no slash is added." example:"site1/"`
	Roles              []string            `json:"roles,omitempty" maxItems:"256" doc:"The roles that it gets, whatever it wished for: the id, or name: and the name, of each. Missing: none." example:"[\"name:line-operators\"]"`
	InitialPermissions []newPermissionJSON `json:"initialPermissions,omitempty" maxItems:"10000" doc:"Permissions of its own, whatever it wished for. Missing: none."`
	Permissions        []newPermissionJSON `json:"permissions,omitempty" maxItems:"10000" doc:"Another name for initialPermissions."`
}

// denialJSON refuses a registration.
type denialJSON struct {
	Username    string `json:"username" minLength:"3" maxLength:"255" example:"iot.device.0123456"`
	ID          string `json:"id,omitempty" maxLength:"64" doc:"Of the registration that is meant: another one of this name is 409."`
	PairingCode string `json:"pairingCode,omitempty" maxLength:"64" doc:"That the device shows: another one is 409. Case does not count." example:"7KQ2MX"`
}

// csrJSON asks for a certificate of our own authority.
type csrJSON struct {
	CSR string `json:"csr" minLength:"1" maxLength:"16384" doc:"PKCS#10 in PEM, or the base64 of that; its common name is the username of whom it is for." example:"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"`
}

// certifiedJSON is a new certificate.
type certifiedJSON struct {
	Certificate    string `json:"certificate" doc:"PEM."`
	CACertificates string `json:"caCertificates" doc:"PEM, the issuer first, the root last."`
}

func showIssuance(i enrol.Issuance) certifiedJSON { return certifiedJSON{i.PEM, i.CACertificates} }

func showPending(r registry.Registration) pendingJSON {
	p := pendingJSON{
		ID: string(r.ID), Username: r.Username, PairingCode: r.PairingCode, Context: r.Context,
		Roles: append([]string{}, r.Roles...), InitialPermissions: each(r.Permissions, showWish), HasCSR: r.HasCSR(),
		Source: string(r.Source), FirstSeen: wire.Time{Time: r.FirstSeen}, LastSeen: wire.Time{Time: r.LastSeen},
	}
	if r.Remote.IsValid() {
		p.Remote = r.Remote.String()
	}
	return p
}

func showWish(n registry.PermissionSpec) wishJSON {
	return wishJSON{n.Resource, n.Operation.String(), n.Context.String(), n.Effect.String()}
}

func showWindow(w registry.WindowStatus) windowJSON {
	return windowJSON{Locked: w.Locked, OpenUntil: wire.TimeOrNull(w.OpenUntil), Remaining: w.Remaining.Milliseconds()}
}

// oneOf returns the permissions that stand under one of their two names.
func oneOf(initial, alias []newPermissionJSON) ([]registry.PermissionSpec, error) {
	switch {
	case initial != nil && alias != nil:
		return nil, registry.Errorf(registry.Invalid, "permissions", "is another name for initialPermissions: give one of them")
	case alias != nil:
		return newPermissions(alias)
	default:
		return newPermissions(initial)
	}
}
