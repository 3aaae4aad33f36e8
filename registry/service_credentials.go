package registry

import (
	"context"
	"slices"
	"time"

	"mqttwarden/registry/bearer"
	"mqttwarden/registry/ca"
)

// AddFingerprint registers a certificate for a user. A user whose grant types
// nobody chose yet may sign in with it. It returns NotFound, Invalid, Conflict
// when the certificate is registered already, or is of our own authority and
// revoked or another user's, and Forbidden.
func (s *Service) AddFingerprint(ctx context.Context, caller Caller, id UserID, n FingerprintSpec) (uint64, error) {
	fp, err := ParseFingerprint(n.Fingerprint)
	if err != nil {
		return 0, err
	}
	return s.amendFingerprints(ctx, caller, id, "user.certificate.add", fp, func(ctx context.Context, tx Tx, u *User) error {
		if err := mayRegister(ctx, tx, id, fp); err != nil {
			return err
		}
		if slices.ContainsFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp }) {
			return Errorf(Conflict, "fingerprint", "is registered already")
		}
		u.Fingerprints = append(u.Fingerprints, Fingerprint{SHA256: fp, Created: s.stamp(), Expires: n.Expires})
		if len(u.GrantTypes) == 0 {
			u.GrantTypes = impliedGrants(false, true)
		}
		return nil
	})
}

// RemoveFingerprint ends a certificate; one that we issued is revoked with it.
// Sessions that were opened with it end.
// Without its last one, a user with that grant type signs in by common name
// again. It returns NotFound, Invalid and Forbidden.
func (s *Service) RemoveFingerprint(ctx context.Context, caller Caller, id UserID, fingerprint string) (uint64, error) {
	fp, err := ParseFingerprint(fingerprint)
	if err != nil {
		return 0, err
	}
	return s.amendFingerprints(ctx, caller, id, "user.certificate.remove", fp, func(ctx context.Context, tx Tx, u *User) error {
		i := slices.IndexFunc(u.Fingerprints, func(f Fingerprint) bool { return f.SHA256 == fp })
		if i < 0 {
			return Errorf(NotFound, "fingerprint", "is not registered for this user")
		}
		u.Fingerprints = slices.Delete(u.Fingerprints, i, i+1)
		return ignoreNotFound(tx.RevokeIssued(ctx, fp, s.stamp(), ca.Unspecified))
	})
}

func (s *Service) amendFingerprints(ctx context.Context, caller Caller, id UserID, action, fp string, f func(context.Context, Tx, *User) error) (uint64, error) {
	return s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		u, err := s.amend(ctx, tx, by, id, func(u *User) error { return f(ctx, tx, u) })
		if err != nil {
			return err
		}
		by.audit(tx, action, string(id), "%s: %s", u.Username, fp)
		return nil
	})
}

// maxTokensPerUser bounds the registered tokens of one user.
const maxTokensPerUser = 10_000

// IssueToken makes and registers a token for a user who has signed in. A life
// of zero means the default. It returns Invalid for a life or label beyond the
// limits, and Conflict when the user has too many tokens. The token is returned
// once and never stored.
func (s *Service) IssueToken(ctx context.Context, login Login, life time.Duration, label string) (string, Token, error) {
	if life == 0 {
		life = s.cfg.TokenLife
	}
	if life < 0 || life > s.cfg.MaxTokenLife {
		return "", Token{}, Errorf(Invalid, "expireTimeInHours", "must be more than 0 and at most %g", s.cfg.MaxTokenLife.Hours())
	}
	if len(label) > MaxTokenLabel {
		return "", Token{}, Errorf(Invalid, "label", "has %d bytes: must have at most %d", len(label), MaxTokenLabel)
	}
	id, err := newID()
	if err != nil {
		return "", Token{}, err
	}
	now := s.now().UTC().Truncate(time.Second) // a JWT counts in seconds
	t := Token{ID: TokenID(id), User: login.Subject.ID(), Label: label, Created: now, Expires: now.Add(life)}
	raw, err := s.cfg.Signer.Sign(bearer.Claims{ID: id, Subject: string(t.User), Issued: t.Created, Expires: t.Expires})
	if err != nil {
		return "", Token{}, err
	}
	t.Fingerprint = bearer.Fingerprint(raw)
	_, err = s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		have, err := tx.TokensOf(ctx, t.User)
		if err != nil {
			return err
		}
		if len(have) >= maxTokensPerUser {
			return Errorf(Conflict, "", "the user has %d tokens: delete some first", len(have))
		}
		return tx.CreateToken(ctx, t)
	})
	if err != nil {
		return "", Token{}, typed(err)
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

// DeleteToken ends a token of a user, named by its id or its fingerprint, and
// the sessions opened with it. It returns NotFound and Forbidden.
func (s *Service) DeleteToken(ctx context.Context, caller Caller, id UserID, token string) (uint64, error) {
	return s.endTokens(ctx, caller, id, func(ctx context.Context, tx Tx) error {
		tokens, err := tx.TokensOf(ctx, id)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if string(t.ID) == token || t.Fingerprint == token {
				return tx.DeleteToken(ctx, t.ID)
			}
		}
		return Errorf(NotFound, "tokenId", "the user has no such token")
	})
}

// DeleteTokens ends all tokens of a user and the sessions opened with them. It
// returns NotFound for the user, and Forbidden.
func (s *Service) DeleteTokens(ctx context.Context, caller Caller, id UserID) (uint64, error) {
	return s.endTokens(ctx, caller, id, func(ctx context.Context, tx Tx) error {
		_, err := tx.DeleteTokensOf(ctx, id)
		return err
	})
}

func (s *Service) endTokens(ctx context.Context, caller Caller, id UserID, end func(context.Context, Tx) error) (uint64, error) {
	return s.change(ctx, caller, func(ctx context.Context, tx Tx, by *authority) error {
		rec, err := tx.RecordByID(ctx, id)
		if err != nil {
			return err
		}
		if err := by.mayReplace(id, rec.Grants, rec.Grants); err != nil {
			return err
		}
		if err := end(ctx, tx); err != nil {
			return err
		}
		tx.Touch(id)
		by.audit(tx, "user.token.delete", string(id), "%s", rec.User.Username)
		return nil
	})
}

// Logout ends the token itself: who holds it may end it. A token that is not
// valid, or no longer, is no error.
func (s *Service) Logout(ctx context.Context, token string) (uint64, error) {
	claims, err := s.cfg.Signer.Verify(token, s.now())
	if err != nil {
		return 0, nil //nolint:nilerr // an unknown token is logged out already
	}
	return s.change(ctx, System("api"), func(ctx context.Context, tx Tx, by *authority) error {
		t, err := tx.Token(ctx, TokenID(claims.ID))
		if err != nil || t.Fingerprint != bearer.Fingerprint(token) {
			return ignoreNotFound(err)
		}
		if err := tx.DeleteToken(ctx, t.ID); err != nil {
			return err
		}
		tx.Touch(t.User)
		by.audit(tx, "token.logout", string(t.User), "by its bearer")
		return nil
	})
}

// SweepTokens forgets the tokens that expired and returns how many.
func (s *Service) SweepTokens(ctx context.Context) (int, error) {
	var n int
	_, err := s.store.Update(ctx, func(ctx context.Context, tx Tx) error {
		var err error
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
