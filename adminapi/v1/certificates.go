package v1

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
)

// Certificates are the trust anchors, the CAs whose client certificates sign in, and
// the client certificates that our own authority has issued.
type Certificates interface {
	Anchors(ctx context.Context) ([]registry.Anchor, error)
	Anchor(ctx context.Context, id registry.AnchorID) (registry.Anchor, error)
	AddAnchors(ctx context.Context, by registry.Caller, pem []byte) ([]registry.Anchor, uint64, error)
	DeleteAnchor(ctx context.Context, by registry.Caller, id registry.AnchorID) (uint64, error)
	CertificateUses(ctx context.Context, id registry.UserID) (map[string]time.Time, error)
	Issuances
}

// anchorJSON is a trust anchor.
type anchorJSON struct {
	ID           string    `json:"id" doc:"SHA-256 of its DER form, in lower-case hexadecimal." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	Subject      string    `json:"subject" example:"CN=Plant CA,O=Example"`
	Issuer       string    `json:"issuer" example:"CN=Plant CA,O=Example"`
	SerialNumber string    `json:"serialNumber" doc:"In hexadecimal." example:"07"`
	NotBefore    wire.Time `json:"notBefore"`
	NotAfter     wire.Time `json:"notAfter"`
	CreatedAt    wire.Time `json:"createdAt" doc:"When it was added."`
}

func showAnchor(c registry.Anchor) anchorJSON {
	return anchorJSON{
		ID: string(c.ID), Subject: c.Subject, Issuer: c.Issuer, SerialNumber: c.Serial,
		NotBefore: wire.Time{Time: c.NotBefore}, NotAfter: wire.Time{Time: c.NotAfter}, CreatedAt: wire.Time{Time: c.Added},
	}
}

// addedJSON are certificates that were added: in JSON the one, or a list if
// there were several in the request.
type addedJSON []anchorJSON

// MarshalJSON implements json.Marshaler.
func (a addedJSON) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]anchorJSON(a))
}

// Schema implements huma.SchemaProvider.
func (addedJSON) Schema(r huma.Registry) *huma.Schema {
	one := r.Schema(reflect.TypeFor[anchorJSON](), true, "")
	return &huma.Schema{
		Description: "The certificate; an array of them if several were sent.",
		OneOf:       []*huma.Schema{one, {Type: huma.TypeArray, Items: one}},
	}
}

// listCertificates serves GET /certificates.
func (a *API) listCertificates(ctx context.Context, _ *struct{}) (*struct{ Body []anchorJSON }, error) {
	anchors, err := a.certificates.Anchors(ctx)
	if err != nil {
		return nil, err
	}
	return &struct{ Body []anchorJSON }{each(anchors, showAnchor)}, nil
}

// trustCertificates serves POST /certificates.
func (a *API) trustCertificates(ctx context.Context, in *struct {
	Preference
	Body string `doc:"One or more CA certificates in PEM; all are added or none." example:"-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"`
},
) (*struct {
	Receipt
	Body addedJSON
}, error,
) {
	added, change, err := a.certificates.AddAnchors(ctx, access.Caller(ctx), []byte(in.Body))
	if err != nil {
		return nil, err
	}
	return &struct {
		Receipt
		Body addedJSON
	}{a.receipt(ctx, in.Preference, change), each(added, showAnchor)}, nil
}

// WhichCertificate is part of every request about one CA certificate.
type WhichCertificate struct {
	ID string `query:"id" required:"true" minLength:"1" maxLength:"64" doc:"The certificate's id."`
}

// certificateContent serves GET /certificates/content.
func (a *API) certificateContent(ctx context.Context, in *struct{ WhichCertificate }) (*struct {
	Body string `doc:"PEM." example:"-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"`
}, error,
) {
	c, err := a.certificates.Anchor(ctx, registry.AnchorID(in.ID))
	if err != nil {
		return nil, err
	}
	return &struct {
		Body string `doc:"PEM." example:"-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"`
	}{c.PEM}, nil
}

// distrustCertificate serves DELETE /certificates.
func (a *API) distrustCertificate(ctx context.Context, in *struct {
	WhichCertificate
	Preference
},
) (*changed, error) {
	change, err := a.certificates.DeleteAnchor(ctx, access.Caller(ctx), registry.AnchorID(in.ID))
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}
