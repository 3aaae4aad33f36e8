package v1

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/request"
	"mqttwarden/registry"
	"mqttwarden/registry/enrol"
)

// Registrations are requests to become a user, and the window in which they are
// taken.
type Registrations interface {
	Register(ctx context.Context, req enrol.Request) (enrol.Answer, error)
	Pending(ctx context.Context) ([]registry.Registration, error)
	WindowStatus(ctx context.Context) (registry.WindowStatus, error)
	OpenWindow(ctx context.Context, by registry.Caller, d time.Duration) (registry.WindowStatus, uint64, error)
	LockWindow(ctx context.Context, by registry.Caller) (uint64, error)
	Confirm(ctx context.Context, by registry.Caller, c enrol.Confirmation) (registry.User, uint64, error)
	Deny(ctx context.Context, by registry.Caller, ref enrol.Ref) error
	Issue(ctx context.Context, by registry.Caller, id registry.UserID, csr string) (enrol.Issuance, uint64, error)
	Renew(ctx context.Context, by registry.Caller, login registry.Login, csr string) (enrol.Issuance, uint64, error)
}

// registered is the answer to a registration: its status says how far it is.
type registered struct {
	Status     int
	RetryAfter string `header:"Retry-After" doc:"In how many seconds to send the same request again. Missing when there is nothing more to ask."`
	Body       registrationJSON
}

// registerAnswers describes the answers to a registration that is not granted.
func registerAnswers() map[int]string {
	return map[int]string{
		http.StatusAccepted:  "Pending: send the same request again after Retry-After.",
		http.StatusForbidden: "Denied, until the window closes.",
		http.StatusLocked:    "Locked: no registrations are taken now. Send the same request again after Retry-After.",
	}
}

// register serves POST /client-registry/register.
func (a *API) register(ctx context.Context, in *struct{ Body newRegistrationJSON }) (*registered, error) {
	wishes, err := oneOf(in.Body.InitialPermissions, in.Body.Permissions)
	if err != nil {
		return nil, err
	}
	got, err := a.registrations.Register(ctx, enrol.Request{
		Username: in.Body.Username, Password: in.Body.Password, CSR: in.Body.CSR, Context: in.Body.Context,
		Roles: in.Body.Roles, Permissions: wishes, Source: registry.SourceHTTP, Remote: request.From(ctx).Remote,
	})
	if err != nil {
		return nil, err
	}
	answer := &registered{Body: registrationJSON{Status: string(got.Status)}}
	if got.RetryAfter > 0 {
		answer.RetryAfter = strconv.FormatInt(int64((got.RetryAfter+time.Second-1)/time.Second), 10)
	}
	switch got.Status {
	case registry.RegistrationPending:
		answer.Status = http.StatusAccepted
		answer.Body.Username, answer.Body.ID, answer.Body.PairingCode = got.Username, string(got.ID), got.PairingCode
	case registry.RegistrationGranted:
		answer.Status = http.StatusCreated
		answer.Body.Username, answer.Body.Certificate, answer.Body.CACertificates = got.Username, got.Certificate, got.CACertificates
	case registry.RegistrationDenied:
		answer.Status = http.StatusForbidden
	default:
		answer.Status = http.StatusLocked
	}
	return answer, nil
}

// listRegistrations serves GET /client-registry.
func (a *API) listRegistrations(ctx context.Context, _ *struct{}) (*struct{ Body []pendingJSON }, error) {
	pending, err := a.registrations.Pending(ctx)
	if err != nil {
		return nil, err
	}
	return &struct{ Body []pendingJSON }{each(pending, showPending)}, nil
}

// windowStatus serves GET /client-registry/status.
func (a *API) windowStatus(ctx context.Context, _ *struct{}) (*struct{ Body windowJSON }, error) {
	w, err := a.registrations.WindowStatus(ctx)
	if err != nil {
		return nil, err
	}
	return &struct{ Body windowJSON }{showWindow(w)}, nil
}

// openWindow serves POST /client-registry/open.
func (a *API) openWindow(ctx context.Context, in *struct {
	Preference
	Body *openingJSON
},
) (*changed, error) {
	d := registry.DefaultWindow
	if in.Body != nil && in.Body.Duration != nil {
		d = time.Duration(*in.Body.Duration) * time.Millisecond
	}
	_, change, err := a.registrations.OpenWindow(ctx, access.Caller(ctx), d)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// lockWindow serves POST /client-registry/lock.
func (a *API) lockWindow(ctx context.Context, in *struct{ Preference }) (*changed, error) {
	change, err := a.registrations.LockWindow(ctx, access.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// confirmRegistration serves POST /client-registry/confirm.
func (a *API) confirmRegistration(ctx context.Context, in *struct {
	Preference
	Body confirmationJSON
},
) (*userChanged, error) {
	own, err := oneOf(in.Body.InitialPermissions, in.Body.Permissions)
	if err != nil {
		return nil, err
	}
	u, change, err := a.registrations.Confirm(ctx, access.Caller(ctx), enrol.Confirmation{
		Ref:    ref(in.Body.Username, in.Body.ID, in.Body.PairingCode),
		Roles:  each(in.Body.Roles, func(id string) registry.RoleID { return registry.RoleID(id) }),
		Prefix: in.Body.MQTTPublishPrefix, Permissions: own,
	})
	if err != nil {
		return nil, err
	}
	body, err := a.newUser(ctx, u, len(own) > 0)
	if err != nil {
		return nil, err
	}
	return &userChanged{a.receipt(ctx, in.Preference, change), Tagged{tagOfUser(u, body.Permissions)}, body}, nil
}

// denyRegistration serves POST /client-registry/deny.
func (a *API) denyRegistration(ctx context.Context, in *struct{ Body denialJSON }) (*struct{}, error) {
	return nil, a.registrations.Deny(ctx, access.Caller(ctx), ref(in.Body.Username, in.Body.ID, in.Body.PairingCode))
}

// certified is the answer with a new certificate.
type certified struct {
	Receipt
	Body certifiedJSON
}

// renewCertificate serves POST /client-registry/renew. The certificate that the
// caller signed in with is the one that is renewed; who never had one gets the first for
// the password.
func (a *API) renewCertificate(ctx context.Context, in *struct {
	Preference
	Body csrJSON
},
) (*certified, error) {
	issued, change, err := a.registrations.Renew(ctx, access.Caller(ctx), access.Who(ctx).Login, in.Body.CSR)
	if err != nil {
		return nil, err
	}
	return &certified{a.receipt(ctx, in.Preference, change), showIssuance(issued)}, nil
}

// issueCertificate serves POST /users/{id}/csr.
func (a *API) issueCertificate(ctx context.Context, in *struct {
	Named
	Preference
	Body csrJSON
},
) (*certified, error) {
	issued, change, err := a.registrations.Issue(ctx, access.Caller(ctx), in.user(), in.Body.CSR)
	if err != nil {
		return nil, err
	}
	return &certified{a.receipt(ctx, in.Preference, change), showIssuance(issued)}, nil
}

func ref(username, id, pairingCode string) enrol.Ref {
	return enrol.Ref{Username: username, ID: registry.RegistrationID(id), PairingCode: pairingCode}
}
