package v1

import (
	"context"

	"mqttwarden/adminapi/internal/access"
	"mqttwarden/registry"
)

// Credentials are the tokens and certificates of users.
type Credentials interface {
	Tokens(ctx context.Context, id registry.UserID) ([]registry.Token, error)
	DeleteToken(ctx context.Context, by registry.Caller, id registry.UserID, token string) (uint64, error)
	DeleteTokens(ctx context.Context, by registry.Caller, id registry.UserID) (uint64, error)
	AddFingerprint(ctx context.Context, by registry.Caller, id registry.UserID, n registry.FingerprintSpec) (uint64, error)
	RemoveFingerprint(ctx context.Context, by registry.Caller, id registry.UserID, fingerprint string) (uint64, error)
}

// listTokens serves GET /users/{id}/tokens.
func (a *API) listTokens(ctx context.Context, in *struct {
	Named
	PageNumber  int `query:"pageNumber" default:"1" minimum:"1" maximum:"1000000000" doc:"The page, from 1."`
	RowsPerPage int `query:"rowsPerPage" default:"100" minimum:"1" maximum:"100" doc:"Tokens on a page."`
},
) (*struct{ Body []tokenJSON }, error) {
	tokens, err := a.credentials.Tokens(ctx, in.user())
	if err != nil {
		return nil, err
	}
	return &struct{ Body []tokenJSON }{each(pageOf(tokens, in.PageNumber, in.RowsPerPage), showToken)}, nil
}

// whichTokens names one token of a user, or all.
type whichTokens struct {
	Named
	Preference
	TokenID string `query:"tokenId" maxLength:"64" doc:"The id or the fingerprint of the token; missing: all tokens."`
}

// deleteTokens serves DELETE /users/{id}/tokens.
func (a *API) deleteTokens(ctx context.Context, in *whichTokens) (*changed, error) {
	var change uint64
	var err error
	if in.TokenID != "" {
		change, err = a.credentials.DeleteToken(ctx, access.Caller(ctx), in.user(), in.TokenID)
	} else {
		change, err = a.credentials.DeleteTokens(ctx, access.Caller(ctx), in.user())
	}
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// addCertificate serves POST /users/{id}/certificates.
func (a *API) addCertificate(ctx context.Context, in *struct {
	Named
	Preference
	Body newCertificateJSON
},
) (*changed, error) {
	n, err := in.Body.fingerprint()
	if err != nil {
		return nil, err
	}
	change, err := a.credentials.AddFingerprint(ctx, access.Caller(ctx), in.user(), n)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}

// oldCertificateJSON is a certificate to remove.
type oldCertificateJSON struct {
	Fingerprint string `json:"fingerprint" minLength:"1" maxLength:"256" doc:"As for registering it." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
}

// removeCertificate serves DELETE /users/{id}/certificates.
func (a *API) removeCertificate(ctx context.Context, in *struct {
	Named
	Preference
	Body oldCertificateJSON
},
) (*changed, error) {
	change, err := a.credentials.RemoveFingerprint(ctx, access.Caller(ctx), in.user(), in.Body.Fingerprint)
	if err != nil {
		return nil, err
	}
	return &changed{a.receipt(ctx, in.Preference, change)}, nil
}
