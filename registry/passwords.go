package registry

import (
	"context"
)

// ChangePassword changes the caller's own password. The token that the request came
// with goes on, the others end. It returns Forbidden when
// current is not it, or when the account has none that is ours to change.
func (s *Service) ChangePassword(ctx context.Context, caller Caller, current, password string) (uint64, error) {
	u, err := s.store.User(ctx, caller.ID)
	if err != nil {
		return 0, err
	}
	if u.Provider != ProviderLocal || u.PasswordHash == "" {
		return 0, Errorf(Forbidden, "", "this account has no password to change")
	}
	if err := s.passwords.Policy.Check(FieldNewPassword, password); err != nil {
		return 0, err
	}
	switch ok, err := s.passwords.Verify(ctx, u.Username, u.PasswordHash, current); {
	case err != nil:
		return 0, err
	case !ok:
		return 0, Errorf(Forbidden, FieldPassword, "is not the current password")
	}
	hash, err := s.passwords.Hash(ctx, FieldNewPassword, password)
	if err != nil {
		return 0, err
	}
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error {
		_, err := e.AmendUser(ctx, caller.ID, PasswordChanged, func(now *User) error {
			if now.PasswordHash != u.PasswordHash {
				return Errorf(Conflict, FieldPassword, "was changed meanwhile")
			}
			now.PasswordHash, now.PasswordSet = hash.Encoded, hash.Set // how it may sign in is for others to say
			return nil
		})
		return err
	})
}

// SetPassword sets a user's password by name, makes the user active and lets
// it sign in with it: the way back in for whoever holds the store. It needs all
// rights.
func (s *Service) SetPassword(ctx context.Context, caller Caller, username, password string) (uint64, error) {
	hash, err := s.passwords.Hash(ctx, FieldPassword, password)
	if err != nil {
		return 0, err
	}
	return s.editor.Do(ctx, caller, func(ctx context.Context, e *Edit) error {
		if err := e.RequireAllRights(); err != nil {
			return err
		}
		u, err := e.UserByName(ctx, username)
		if err != nil {
			return err
		}
		_, err = e.AmendUser(ctx, u.ID, PasswordChanged, func(u *User) error { return u.letIn(hash) })
		return err
	})
}

// letIn makes sure that u can sign in with a password.
func (u *User) letIn(password PasswordHash) error {
	if u.Provider != ProviderLocal {
		return Errorf(Invalid, FieldUsername, "is a user of %s: its password is not kept here", u.Provider)
	}
	u.usePassword(password)
	if granted, _ := u.Granted(MethodPassword); !granted {
		u.GrantTypes = append(u.GrantTypes, GrantType{Method: MethodPassword})
	}
	u.Active = true
	return nil
}
