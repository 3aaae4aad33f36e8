package registry

import (
	"context"
	"strconv"
	"time"

	"mqttwarden/registry/bearer"
	"mqttwarden/registry/ca"
)

// AddFingerprint registers a certificate for a user, which signs in with registered
// ones only from then on. A user whose grant types nobody chose yet may sign in with
// it. It returns NotFound, Invalid, Conflict when the certificate is registered
// already, is of our own authority and revoked or another user's, or is given to
// another user by a trust anchor, and Forbidden, also to users who register for
// themselves what they do not show.
func (s *Service) AddFingerprint(ctx context.Context, caller Caller, id UserID, spec FingerprintSpec) (uint64, error) {
	if _, err := spec.registered(s.now()); err != nil {
		return 0, err
	}
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error {
		_, err := e.AmendUser(ctx, id, FingerprintAdded, func(u *User) error {
			f, err := spec.registered(e.Now())
			if err != nil {
				return err
			}
			if u.hasFingerprint(f.SHA256) {
				return Errorf(Conflict, FieldFingerprint, "is registered already")
			}
			u.Fingerprints = append(u.Fingerprints, f)
			if u.GrantTypes == nil {
				u.GrantTypes = impliedGrants(false, true)
			}
			return nil
		})
		return err
	})
}

// RemoveFingerprint ends a certificate; one that we issued is revoked with it.
// Sessions that were opened with it end, and it signs nobody in until it is registered
// again. The user goes on to sign in with registered certificates only; see
// UserUpdate.Pinned. It returns NotFound, Invalid and Forbidden.
func (s *Service) RemoveFingerprint(ctx context.Context, caller Caller, id UserID, fingerprint string) (uint64, error) {
	fp, err := ParseFingerprint(fingerprint)
	if err != nil {
		return 0, err
	}
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error {
		_, err := e.AmendUser(ctx, id, FingerprintEnded, func(u *User) error {
			if !u.hasFingerprint(fp) {
				return Errorf(NotFound, FieldFingerprint, "is not registered for this user")
			}
			u.DropFingerprint(fp)
			return ignoreNotFound(e.RevokeIssued(ctx, fp, e.Now(), ca.Unspecified))
		})
		return err
	})
}

// IssueToken makes and registers a token for a user who has signed in. A life
// of zero means the default. It returns Invalid for a life or label beyond the
// limits, TooOften, Conflict when the user has too many tokens, and Unauthenticated when the
// user can't sign in like that any more. The token is returned once and never stored.
func (s *Service) IssueToken(ctx context.Context, login Login, life time.Duration, label string) (string, Token, error) {
	if life == 0 {
		life = s.tokens.Life
	}
	if life < 0 || life > s.tokens.MaxLife {
		return "", Token{}, Errorf(Invalid, FieldLife, "must be more than 0 and at most %s", strconv.FormatFloat(s.tokens.MaxLife.Hours(), 'f', -1, 64))
	}
	if len(label) > MaxTokenLabel {
		return "", Token{}, Errorf(Invalid, FieldLabel, "has %d bytes: must have at most %d", len(label), MaxTokenLabel)
	}
	if err := s.countToken(login.Subject.ID()); err != nil {
		return "", Token{}, err
	}
	id, err := NewID()
	if err != nil {
		return "", Token{}, err
	}
	now := s.now().UTC().Truncate(time.Second) // a JWT counts in seconds
	t := Token{ID: TokenID(id), User: login.Subject.ID(), Label: label, Created: now, Expires: now.Add(life)}
	raw, err := s.signer.Sign(bearer.Claims{ID: id, Subject: string(t.User), Issued: t.Created, Expires: t.Expires})
	if err != nil {
		return "", Token{}, err
	}
	t.Fingerprint = bearer.Fingerprint(raw)
	_, err = s.editor.Do(ctx, System("login"), func(ctx context.Context, e *Edit) error {
		return e.CreateToken(ctx, t, &login.Proof, s.tokens.PerUser)
	})
	if err != nil {
		return "", Token{}, err
	}
	return raw, t, nil
}

// Tokens returns a user's registered tokens, or NotFound for the user.
func (s *Service) Tokens(ctx context.Context, id UserID) ([]Token, error) {
	if _, err := s.store.User(ctx, id); err != nil {
		return nil, err
	}
	return s.store.TokensOf(ctx, id)
}

// DeleteToken ends a token of a user and the sessions opened with it; see
// Edit.DeleteToken.
func (s *Service) DeleteToken(ctx context.Context, caller Caller, id UserID, token string) (uint64, error) {
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error { return e.DeleteToken(ctx, id, token) })
}

// DeleteTokens ends all tokens of a user and the sessions opened with them; see
// Edit.DeleteTokens.
func (s *Service) DeleteTokens(ctx context.Context, caller Caller, id UserID) (uint64, error) {
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error { return e.DeleteTokens(ctx, id) })
}

// Logout ends the token itself: who holds it may end it. A token that is not
// valid, or no longer, is no error.
func (s *Service) Logout(ctx context.Context, token string) (uint64, error) {
	claims, err := s.signer.Verify(token, s.now())
	if err != nil {
		return 0, nil //nolint:nilerr // an unknown token is logged out already
	}
	return s.editor.Do(ctx, System("api"), func(ctx context.Context, e *Edit) error {
		return e.EndToken(ctx, TokenID(claims.ID), bearer.Fingerprint(token))
	})
}

// SweepTokens forgets the tokens that expired and returns how many.
func (s *Service) SweepTokens(ctx context.Context) (n int, err error) {
	_, err = s.store.Update(ctx, func(ctx context.Context, tx Tx) (err error) {
		n, err = tx.DeleteExpiredTokens(ctx, s.now())
		return err
	})
	return n, err
}

// TokenAlive reports whether a token is still registered.
func (s *Service) TokenAlive(ctx context.Context, id TokenID) (bool, error) {
	_, err := s.store.Token(ctx, id)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	return true, nil
}
