package sqlstore

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mqttwarden/registry"
	"mqttwarden/registry/acl"
)

const (
	registrationColumns = `id, username, pairing_code, password_hash, csr, context, roles, permissions, source, remote,
		client_id, first_seen, last_seen, status, user_id, certificate, ca_certificates, granted, collected`
	registrationByName = `SELECT ` + registrationColumns + ` FROM registrations WHERE username_fold = $1`
	insertRegistration = `INSERT INTO registrations (id, username, username_fold, pairing_code, password_hash, csr, context,
		roles, permissions, source, remote, client_id, first_seen, last_seen, status, user_id, certificate, ca_certificates,
		granted, collected) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`
	updateRegistration = `UPDATE registrations SET username = $2, username_fold = $3, pairing_code = $4, password_hash = $5,
		csr = $6, context = $7, roles = $8, permissions = $9, source = $10, remote = $11, client_id = $12, first_seen = $13,
		last_seen = $14, status = $15, user_id = $16, certificate = $17, ca_certificates = $18, granted = $19,
		collected = $20 WHERE id = $1`
	readWindow      = `SELECT opened, closes FROM registration_window`
	countUsersNamed = `SELECT COUNT(*) FROM users WHERE username_fold = $1`
)

// countRegistrations counts those with one of n statuses.
func countRegistrations(n int) string {
	return `SELECT COUNT(*) FROM registrations WHERE status IN ` + list(1, n)
}

// registering returns the statements behind a request to become a user, which
// anybody may send.
func registering() []string {
	return []string{readWindow, registrationByName, countUsersNamed, countRegistrations(2)}
}

// wish is a wished permission as it is stored.
type wish struct {
	Resource  string `json:"resource"`
	Operation string `json:"operation"`
	Context   string `json:"context"`
	Effect    string `json:"effect"`
}

func (w wish) permission() (p registry.PermissionSpec, err error) {
	p.Resource = w.Resource
	if p.Operation, err = acl.ParseOperation(w.Operation); err != nil {
		return p, err
	}
	if p.Context, err = acl.ParseContext(w.Context); err != nil {
		return p, err
	}
	p.Effect, err = acl.ParseEffect(w.Effect)
	return p, err
}

func scanRegistration(r row) (reg registry.Registration, err error) {
	var wishes []wish
	var remote string
	var user *registry.UserID
	err = r.Scan(&reg.ID, &reg.Username, &reg.PairingCode, &reg.PasswordHash, &reg.CSR, &reg.Context, asJSON{&reg.Roles},
		asJSON{&wishes}, &reg.Source, &remote, &reg.ClientID, asTime{&reg.FirstSeen}, asTime{&reg.LastSeen}, &reg.Status, &user,
		&reg.Certificate, &reg.CACertificates, asTime{&reg.Granted}, asTime{&reg.Collected})
	if err != nil {
		return reg, err
	}
	for _, w := range wishes {
		p, err := w.permission()
		if err != nil {
			return reg, err
		}
		reg.Permissions = append(reg.Permissions, p)
	}
	if user != nil {
		reg.User = *user
	}
	if remote != "" {
		reg.Remote, err = netip.ParseAddr(remote)
	}
	return reg, err
}

// registrationArgs are the arguments of insertRegistration and updateRegistration.
func registrationArgs(r registry.Registration) []any {
	var wishes []wish
	for _, p := range r.Permissions {
		wishes = append(wishes, wish{p.Resource, p.Operation.String(), p.Context.String(), p.Effect.String()})
	}
	var remote string
	if r.Remote.IsValid() {
		remote = r.Remote.String()
	}
	var user any // NULL: it has no user yet
	if r.User != "" {
		user = r.User
	}
	return []any{
		r.ID, r.Username, registry.FoldName(r.Username), r.PairingCode, r.PasswordHash, r.CSR, r.Context,
		asJSON{r.Roles},
		asJSON{wishes},
		r.Source, remote, r.ClientID, micros(r.FirstSeen), micros(r.LastSeen), r.Status, user,
		r.Certificate, r.CACertificates, micros(r.Granted), micros(r.Collected),
	}
}

func (r reader) Window(ctx context.Context) (registry.Window, error) {
	return look(ctx, r, func(t *sqlTx) (registry.Window, error) {
		w, err := one(ctx, t, func(r row) (w registry.Window, err error) {
			err = r.Scan(asTime{&w.Opened}, asTime{&w.Until})
			return w, err
		}, readWindow)
		if errors.Is(err, errNoRow) {
			return registry.Window{}, nil
		}
		return w, err
	})
}

func (r reader) Registration(ctx context.Context, username string) (registry.Registration, error) {
	return look(ctx, r, func(t *sqlTx) (registry.Registration, error) {
		reg, err := one(ctx, t, scanRegistration, registrationByName, registry.FoldName(username))
		return reg, missing(err, "registration")
	})
}

func (r reader) Registrations(ctx context.Context, status registry.RegistrationStatus) ([]registry.Registration, error) {
	return look(ctx, r, func(t *sqlTx) ([]registry.Registration, error) {
		return all(ctx, t, scanRegistration,
			`SELECT `+registrationColumns+` FROM registrations WHERE status = $1 ORDER BY first_seen NULLS FIRST, id`, status)
	})
}

func (r reader) PendingRemotes(ctx context.Context) ([]netip.Addr, error) {
	return look(ctx, r, func(t *sqlTx) ([]netip.Addr, error) {
		return all(ctx, t, func(r row) (from netip.Addr, err error) {
			var text string
			if err := r.Scan(&text); err != nil || text == "" {
				return from, err
			}
			return netip.ParseAddr(text)
		}, `SELECT remote FROM registrations WHERE status = $1`, registry.RegistrationPending)
	})
}

func (r reader) CountRegistrations(ctx context.Context, statuses ...registry.RegistrationStatus) (int, error) {
	if len(statuses) == 0 {
		return 0, nil
	}
	return look(ctx, r, func(t *sqlTx) (int, error) {
		return one(ctx, t, column[int], countRegistrations(len(statuses)), anys(statuses)...)
	})
}

func (r reader) NameTaken(ctx context.Context, username string) (bool, error) {
	return look(ctx, r, func(t *sqlTx) (bool, error) {
		n, err := one(ctx, t, column[int], countUsersNamed, registry.FoldName(username))
		return n > 0, err
	})
}

// PutWindow implements registry.RegistrationWriter. The zero window is no row.
func (tx *tx) PutWindow(ctx context.Context, w registry.Window) error {
	if w == (registry.Window{}) {
		_, err := tx.t.exec(ctx, `DELETE FROM registration_window`)
		return err
	}
	_, err := tx.t.exec(ctx, `INSERT INTO registration_window (one, opened, closes) VALUES (1, $1, $2)
		ON CONFLICT (one) DO UPDATE SET opened = excluded.opened, closes = excluded.closes`,
		micros(w.Opened), micros(w.Until))
	return err
}

func (tx *tx) CreateRegistration(ctx context.Context, r registry.Registration) error {
	_, err := tx.t.exec(ctx, insertRegistration, registrationArgs(r)...)
	return tx.taken(err, "username")
}

func (tx *tx) UpdateRegistration(ctx context.Context, r registry.Registration) error {
	return tx.taken(tx.one(ctx, "registration", updateRegistration, registrationArgs(r)...), "username")
}

func (tx *tx) DeleteRegistration(ctx context.Context, id registry.RegistrationID) error {
	return tx.one(ctx, "registration", `DELETE FROM registrations WHERE id = $1`, id)
}

func (tx *tx) DeleteRegistrations(ctx context.Context, statuses ...registry.RegistrationStatus) (int, error) {
	if len(statuses) == 0 {
		return 0, nil
	}
	return tx.t.exec(ctx, `DELETE FROM registrations WHERE status IN `+list(1, len(statuses)), anys(statuses)...)
}

func (tx *tx) DeleteGranted(ctx context.Context, granted, collected time.Time) (int, error) {
	return tx.t.exec(ctx, `DELETE FROM registrations
		WHERE status = 'granted' AND (granted < $1 OR collected < $2)`,
		granted.UnixMicro(), collected.UnixMicro())
}
