package registry

import (
	"context"
	"slices"
)

// CreateToken registers a token of a user who has proven who it is, and may have so
// many at once. It returns Conflict when the user has them, NotFound when the user is
// gone, and Unauthenticated when the proof does not hold any more: what ends tokens may
// have come between the sign-in and now. Nobody is touched: no session rests on it yet.
func (e *Edit) CreateToken(ctx context.Context, t Token, proof *Proof, most int) error {
	u, err := e.tx.User(ctx, t.User)
	if err != nil {
		return err
	}
	if !proof.Rests(&Principal{User: &u}, e.now) {
		return Errorf(Unauthenticated, "", "the user has changed since the sign-in: sign in again")
	}
	have, err := e.tx.CountTokens(ctx, t.User, e.now)
	if err != nil {
		return err
	}
	if have >= most {
		return Errorf(Conflict, "", "the user has %d tokens: delete some first, or let each live shorter", have)
	}
	return e.tx.CreateToken(ctx, t)
}

// DeleteToken ends a token of a user, named by its id or its fingerprint. It
// returns NotFound, and Forbidden when the user has a right that the caller has
// not.
func (e *Edit) DeleteToken(ctx context.Context, id UserID, token string) error {
	u, err := e.RequireMayChange(ctx, id)
	if err != nil {
		return err
	}
	t, err := e.tokenOf(ctx, id, token)
	if err != nil {
		return err
	}
	if err := e.tx.DeleteToken(ctx, t.ID); err != nil {
		return err
	}
	e.touchTokens(id, t.ID)
	e.Audit(TokenDeleted, u.target(), tokensGone(t))
	return nil
}

// tokenOf returns a token of a user by its id or its fingerprint, or NotFound.
func (e *Edit) tokenOf(ctx context.Context, id UserID, token string) (Token, error) {
	t, err := e.tx.Token(ctx, TokenID(token))
	if err == nil && t.User == id || ignoreNotFound(err) != nil {
		return t, err
	}
	tokens, err := e.tx.TokensOf(ctx, id)
	if err != nil {
		return Token{}, err
	}
	i := slices.IndexFunc(tokens, func(t Token) bool { return t.Fingerprint == token })
	if i < 0 {
		return Token{}, Errorf(NotFound, FieldToken, "the user has no such token")
	}
	return tokens[i], nil
}

// DeleteTokens ends all tokens of a user. It returns NotFound for the user, and
// Forbidden when the user has a right that the caller has not.
func (e *Edit) DeleteTokens(ctx context.Context, id UserID) error {
	u, err := e.RequireMayChange(ctx, id)
	if err != nil {
		return err
	}
	tokens, err := e.tx.TokensOf(ctx, id)
	if err != nil {
		return err
	}
	if _, err := e.tx.DeleteTokensOf(ctx, id, ""); err != nil {
		return err
	}
	e.touchTokens(id, "")
	e.Audit(TokenDeleted, u.target(), tokensGone(tokens...))
	return nil
}

// EndToken ends a token for whoever has shown it. One that is not registered, or
// not any more, is no error.
func (e *Edit) EndToken(ctx context.Context, id TokenID, fingerprint string) error {
	t, err := e.tx.Token(ctx, id)
	if err != nil || t.Fingerprint != fingerprint {
		return ignoreNotFound(err)
	}
	u, err := e.tx.User(ctx, t.User)
	if err != nil {
		return err
	}
	if err := e.tx.DeleteToken(ctx, t.ID); err != nil {
		return err
	}
	e.touchTokens(t.User, t.ID)
	e.AuditAs(Actor{ID: u.ID, Name: u.Username}, LoggedOut, u.target(), tokensGone(t))
	return nil
}

// touchTokens says that a token of a user has ended or, if it is empty, all of them.
// The user is none other by that: only the sessions that rest on them have to know.
func (e *Edit) touchTokens(id UserID, token TokenID) {
	e.TouchKind(TokenChange, string(id)+"/"+string(token))
}

// endTokens ends the tokens of a user who can't sign in as before any more: they stand
// for a sign-in of then. One is kept when users only change their own password: the
// one that the request came with. It returns what to say of that in the audit log.
func (e *Edit) endTokens(ctx context.Context, before, after *User) ([]FieldChange, error) {
	sameRules := !narrowed(before, after)
	if sameRules && before.PasswordHash == after.PasswordHash {
		return nil, nil
	}
	var but TokenID
	if sameRules && e.isSelf(after.ID) {
		but = e.caller.Token
	}
	tokens, err := e.tx.TokensOf(ctx, after.ID)
	if err != nil {
		return nil, err
	}
	tokens = slices.DeleteFunc(tokens, func(t Token) bool { return t.ID == but })
	if len(tokens) == 0 {
		return nil, nil
	}
	_, err = e.tx.DeleteTokensOf(ctx, after.ID, but)
	return []FieldChange{tokensGone(tokens...)}, err
}

// narrowed reports whether some way to sign in as a user, its password aside, is
// another now. One more grant type that is not required leaves the others as they are.
func narrowed(before, after *User) bool {
	if before.Active != after.Active || before.Provider != after.Provider || before.EnforceMFA != after.EnforceMFA {
		return true
	}
	gone := slices.ContainsFunc(before.GrantTypes, func(g GrantType) bool {
		granted, _ := after.Granted(g.Method)
		return !granted
	})
	return gone || slices.ContainsFunc(after.GrantTypes, func(g GrantType) bool {
		_, required := before.Granted(g.Method)
		return g.Required && !required
	})
}

// tokensGone is what the audit log says of tokens that were deleted: their ids.
func tokensGone(tokens ...Token) FieldChange {
	return FieldChange{Field: FieldToken, Before: listOf(tokens, func(t Token) TokenID { return t.ID })}
}
