package v1

import (
	"context"
	"strings"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/adminapi/internal/wire"
	"mqttwarden/registry"
	"mqttwarden/registry/ca"
)

// Issuances are the client certificates that are issued here.
type Issuances interface {
	IssuedCertificates(ctx context.Context, q registry.IssuedQuery) ([]registry.IssuedCertificate, int, error)
	Revoke(ctx context.Context, by registry.Caller, certificate string, reason ca.Reason) ([]registry.IssuedCertificate, uint64, error)
}

// issuedJSON is a client certificate that was issued here.
type issuedJSON struct {
	SerialNumber string     `json:"serialNumber" doc:"In hexadecimal." example:"5f1c2a"`
	Fingerprint  string     `json:"fingerprint" doc:"SHA-256 of its DER form, in lower-case hexadecimal."`
	Generation   uint64     `json:"generation" doc:"Of the authority that issued it."`
	UserID       string     `json:"userId" doc:"Of its user, who may be gone."`
	Username     string     `json:"username" doc:"As it stands in the certificate." example:"gateway-7"`
	Replaces     string     `json:"replaces,omitempty" doc:"The fingerprint of the one that it renewed."`
	NotBefore    wire.Time  `json:"notBefore"`
	NotAfter     wire.Time  `json:"notAfter"`
	IssuedAt     wire.Time  `json:"issuedAt"`
	RevokedAt    *wire.Time `json:"revokedAt" nullable:"true" doc:"null: it is not revoked."`
	Reason       string     `json:"reason,omitempty" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"Of the revocation."`
}

func showIssued(c registry.IssuedCertificate) issuedJSON {
	shown := issuedJSON{
		SerialNumber: c.Serial, Fingerprint: c.Fingerprint, Generation: c.Authority,
		UserID: string(c.User), Username: c.Username, Replaces: c.Replaces,
		NotBefore: wire.Time{Time: c.NotBefore}, NotAfter: wire.Time{Time: c.NotAfter}, IssuedAt: wire.Time{Time: c.Issued},
		RevokedAt: wire.TimeOrNull(c.Revoked),
	}
	if !c.Revoked.IsZero() {
		shown.Reason = reasonName(c.Reason)
	}
	return shown
}

// issuedPageJSON is a page of certificates.
type issuedPageJSON struct {
	Certificates []issuedJSON   `json:"certificates"`
	Pagination   paginationJSON `json:"pagination"`
}

// listIssued serves GET /certificates/issued.
func (a *API) listIssued(ctx context.Context, in *struct {
	Username    string `query:"username[eq]" maxLength:"255" doc:"Only those issued for this very name."`
	PageNumber  int    `query:"pageNumber" default:"1" minimum:"1" maximum:"1000000000" doc:"The page, from 1."`
	RowsPerPage int    `query:"rowsPerPage" default:"100" minimum:"1" maximum:"100" doc:"Certificates on a page."`
},
) (*struct{ Body issuedPageJSON }, error) {
	issued, total, err := a.certificates.IssuedCertificates(ctx, registry.IssuedQuery{
		Username: in.Username, Offset: (in.PageNumber - 1) * in.RowsPerPage, Limit: in.RowsPerPage,
	})
	if err != nil {
		return nil, err
	}
	return &struct{ Body issuedPageJSON }{issuedPageJSON{
		each(issued, showIssued), paginate(in.PageNumber, in.RowsPerPage, total),
	}}, nil
}

// revocationJSON says why a certificate is revoked.
type revocationJSON struct {
	Reason string `json:"reason,omitempty" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"Missing: unspecified." example:"keyCompromise"`
}

// revoked answers a revocation.
type revoked struct {
	Receipt

	Revoked string `header:"X-Revoked" doc:"The serial numbers of what was revoked, with commas between them: for keyCompromise also what was renewed from the certificate."`
}

// revokeIssued serves POST /certificates/issued/{serial}/revoke.
func (a *API) revokeIssued(ctx context.Context, in *struct {
	Serial string `path:"serial" maxLength:"128" doc:"The certificate's serial number or fingerprint, in hexadecimal."`
	Preference
	Body *revocationJSON
},
) (*revoked, error) {
	reason := ca.Unspecified
	if in.Body != nil && in.Body.Reason != "" {
		reason = reasons()[in.Body.Reason] // the schema lets no other name through
	}
	gone, change, err := a.certificates.Revoke(ctx, access.Caller(ctx), in.Serial, reason)
	if err != nil {
		return nil, err
	}
	serials := each(gone, func(c registry.IssuedCertificate) string { return c.Serial })
	return &revoked{a.receipt(ctx, in.Preference, change), strings.Join(serials, ",")}, nil
}

// reasons returns the reasons for a revocation by their names (RFC 5280 section
// 5.3.1).
func reasons() map[string]ca.Reason {
	return map[string]ca.Reason{
		"unspecified": ca.Unspecified, "keyCompromise": ca.KeyCompromise, "affiliationChanged": ca.AffiliationChanged,
		"superseded": ca.Superseded, "cessationOfOperation": ca.CessationOfOperation, "privilegeWithdrawn": ca.PrivilegeWithdrawn,
	}
}

func reasonName(r ca.Reason) string {
	for name, reason := range reasons() {
		if reason == r {
			return name
		}
	}
	return "unspecified"
}
