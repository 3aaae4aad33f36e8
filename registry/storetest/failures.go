package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mqttwarden/registry"
)

func failureCases() []testCase {
	return []testCase{
		{"an error of the change comes back as it is, and nothing is stored", updateFailed},
		{"a write that failed can't be passed over", updateFailurePassedOver},
		{"what is not found leaves the transaction as it was", updateAfterNotFound},
		{"a change that panics stores nothing", updatePanicked},
		{"a change whose context ends stores nothing", updateCancelled},
		{"a text that not every database can hold is nobody's, and is not stored", textsRefused},
	}
}

// everything writes to every part of the register.
func everything(ctx context.Context, tx registry.Tx) error {
	touchAll(tx, "u-1", "u-2")
	tx.Audit(entry())
	return errors.Join(
		tx.CreateRole(ctx, registry.Role{ID: "r-9", Name: "New", Permissions: auditors().Permissions}),
		tx.CreateUser(ctx, bob()),
		tx.CreateToken(ctx, registry.Token{ID: "t-9", User: "u-2"}),
		tx.DeleteToken(ctx, "t-1"),
		tx.DeleteRole(ctx, "r-2"),
		tx.DeletePermission(ctx, "r-1", "p-1"),
	)
}

func updateFailed(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), session())
	before := contents(t, s)
	failure := fmt.Errorf("the change failed: %w", registry.LastAdmin)
	n, err := s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
		if err := everything(ctx, tx); err != nil {
			t.Fatal(err)
		}
		return failure
	})
	if err != failure || n != 0 { //nolint:errorlint // the very error is promised
		t.Errorf("got %d, %v, want 0 and the very error", n, err)
	}
	if diff := compare(before, contents(t, s)); diff != "" {
		t.Errorf("something was stored (-before +after):\n%s", diff)
	}
	if n, last := update(t, s, everything), before.Last+2; n != last {
		t.Errorf("the next change has the number %d, want %d: none is lost", n, last)
	}
}

func updateFailurePassedOver(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice())
	for _, tt := range []struct {
		code  registry.Code
		field registry.Field
		user  registry.User
	}{
		{registry.Conflict, "username", registry.User{ID: "u-9", Username: "ALICE"}},
		{registry.Invalid, "roles", registry.User{ID: "u-9", Username: "carol", Roles: []registry.RoleID{"r-9"}}},
		{registry.Conflict, "fingerprint", registry.User{ID: "u-9", Username: "carol", Fingerprints: alice().Fingerprints}},
	} {
		for _, touched := range []bool{true, false} {
			refused(t, s, tt.code, tt.field, func(ctx context.Context, tx registry.Tx) error {
				if touched {
					touchAll(tx, "u-1")
				}
				if err := tx.CreateUser(ctx, bob()); err != nil {
					return err
				}
				if err := tx.CreateUser(ctx, tt.user); err == nil {
					t.Errorf("%s: the write succeeded", tt.code)
				}
				if err := tx.DeleteUser(ctx, "u-1"); err == nil {
					t.Errorf("%s: a write after one that failed succeeded", tt.code)
				}
				return nil
			})
		}
	}
}

func updateAfterNotFound(t *testing.T, s registry.Store) {
	given(t, s, bob())
	n := update(t, s, func(ctx context.Context, tx registry.Tx) error {
		touchAll(tx, "u-2")
		_, err := tx.User(ctx, "u-9")
		notFound(t, "User", err)
		notFound(t, "UpdateUser", tx.UpdateUser(ctx, registry.User{ID: "u-9", Username: "carol"}))
		notFound(t, "DeleteUser", tx.DeleteUser(ctx, "u-9"))
		notFound(t, "PutPermission", tx.PutPermission(ctx, "r-9", auditors().Permissions[0]))
		notFound(t, "CreateToken", tx.CreateToken(ctx, session()))
		return tx.CreateUser(ctx, registry.User{ID: "u-3", Username: "carol"})
	})
	if got := must(s.UserByName(t.Context(), "carol"))(t).ID; got != "u-3" || n == 0 {
		t.Errorf("carol is %q, the number %d", got, n)
	}
}

func updatePanicked(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), session())
	before := contents(t, s)
	func() {
		defer func() {
			if recover() == nil {
				t.Errorf("the panic was swallowed")
			}
		}()
		_, _ = s.Update(t.Context(), func(ctx context.Context, tx registry.Tx) error {
			if err := everything(ctx, tx); err != nil {
				t.Fatal(err)
			}
			panic("on purpose")
		})
	}()
	if diff := compare(before, contents(t, s)); diff != "" {
		t.Errorf("something was stored (-before +after):\n%s", diff)
	}
	update(t, s, everything) // the store still works
}

func updateCancelled(t *testing.T, s registry.Store) {
	given(t, s, operators(), auditors(), alice(), session())
	before := contents(t, s)
	for _, tt := range []struct {
		when   string
		change func(cancel func()) func(context.Context, registry.Tx) error
	}{
		{"before the first write", func(cancel func()) func(context.Context, registry.Tx) error {
			return func(ctx context.Context, tx registry.Tx) error { cancel(); return everything(ctx, tx) }
		}},
		{"between two writes", func(cancel func()) func(context.Context, registry.Tx) error {
			return func(ctx context.Context, tx registry.Tx) error {
				err := everything(ctx, tx)
				cancel()
				return errors.Join(err, tx.CreateUser(ctx, registry.User{ID: "u-9", Username: "carol"}))
			}
		}},
		{"after the last write", func(cancel func()) func(context.Context, registry.Tx) error {
			return func(ctx context.Context, tx registry.Tx) error {
				err := everything(ctx, tx)
				cancel()
				return err
			}
		}},
		{"and the change passes over it", func(cancel func()) func(context.Context, registry.Tx) error {
			return func(ctx context.Context, tx registry.Tx) error {
				_ = everything(ctx, tx)
				cancel()
				_ = tx.CreateUser(context.WithoutCancel(ctx), registry.User{ID: "u-9", Username: "carol"})
				return nil
			}
		}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if n, err := s.Update(ctx, tt.change(cancel)); !errors.Is(err, context.Canceled) || n != 0 {
			t.Errorf("%s: got %d, %v, want the context's error", tt.when, n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Update(ctx, everything); !errors.Is(err, context.Canceled) {
		t.Errorf("begun too late: got %v, want the context's error", err)
	}
	if _, err := s.RecordByName(ctx, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("read too late: got %v, want the context's error", err)
	}
	if diff := compare(before, contents(t, s)); diff != "" {
		t.Errorf("something was stored (-before +after):\n%s", diff)
	}
	update(t, s, everything) // the store still works
}

// textsRefused asks for, and stores, what only some databases can hold.
func textsRefused(t *testing.T, s registry.Store) {
	given(t, s, bob())
	for _, text := range []string{"bob\x00", "\x00", "bob\xff", "\xed\xa0\x80"} {
		_, err := s.RecordByName(t.Context(), text)
		notFound(t, fmt.Sprintf("RecordByName of %q", text), err)
		_, err = s.Role(t.Context(), registry.RoleID(text))
		notFound(t, fmt.Sprintf("Role of %q", text), err)
		refused(t, s, registry.Invalid, "", func(ctx context.Context, tx registry.Tx) error {
			return tx.CreateUser(ctx, registry.User{ID: "u-9", Username: text})
		})
	}
}
