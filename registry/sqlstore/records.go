package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mqttwarden/registry"
)

// What stands between the elements of a list that a statement makes, and between
// the parts of one. No id and no number holds either.
const (
	elements = "\x1e"
	parts    = "\x1f"
)

// recordColumns are those of a user, its roles with their versions, and its
// fingerprints: one statement, so one snapshot.
const recordColumns = userColumns + `,
	(SELECT string_agg(ur.role_id || '` + parts + `' || r.version, '` + elements + `' ORDER BY ur.role_id)
		FROM user_roles ur JOIN roles r ON r.id = ur.role_id WHERE ur.user_id = users.id),
	(SELECT string_agg(f.sha256 || '` + parts + `' || COALESCE(CAST(f.created AS TEXT), '') || '` + parts + `' || COALESCE(CAST(f.expires AS TEXT), ''),
		'` + elements + `' ORDER BY f.position)
		FROM user_fingerprints f WHERE f.user_id = users.id)`

const (
	recordByID          = `SELECT ` + recordColumns + ` FROM users WHERE id = $1`
	recordByName        = `SELECT ` + recordColumns + ` FROM users WHERE username = $1`
	recordByFingerprint = `SELECT ` + recordColumns + ` FROM users
		WHERE id = (SELECT user_id FROM user_fingerprints WHERE sha256 = $1)`
	recordsAfter = `SELECT ` + recordColumns + ` FROM users WHERE id > $1 ORDER BY id LIMIT $2`
)

func (r reader) RecordByID(ctx context.Context, id registry.UserID) (registry.Record, error) {
	return r.record(ctx, recordByID, id)
}

func (r reader) RecordByName(ctx context.Context, username string) (registry.Record, error) {
	return r.record(ctx, recordByName, username)
}

func (r reader) RecordByFingerprint(ctx context.Context, sha256 string) (registry.Record, error) {
	return r.record(ctx, recordByFingerprint, sha256)
}

// RecordsAfter implements registry.RecordSource.
func (r reader) RecordsAfter(ctx context.Context, after registry.UserID, limit int) (records []registry.Record, err error) {
	err = r.look(ctx, func(t *sqlTx) error {
		records, err = all(ctx, t, scanRecord, recordsAfter, after, limit)
		return err
	})
	return records, err
}

func (r reader) record(ctx context.Context, query string, key any) (rec registry.Record, err error) {
	err = r.look(ctx, func(t *sqlTx) error {
		rec, err = one(ctx, t, scanRecord, query, key)
		return missing(err, "user")
	})
	return rec, err
}

func scanRecord(r row) (rec registry.Record, err error) {
	var roles, prints *string // NULL: none
	rec.User, err = scanUserAnd(r, &roles, &prints)
	if err != nil {
		return rec, err
	}
	for element := range listed(roles) {
		id, version, _ := strings.Cut(element, parts)
		n, err := strconv.ParseUint(version, 10, 64)
		if err != nil {
			return rec, fmt.Errorf("role in a record: %w", err)
		}
		rec.User.Roles, rec.RoleVersions = append(rec.User.Roles, registry.RoleID(id)), append(rec.RoleVersions, n)
	}
	for element := range listed(prints) {
		f, err := fingerprint(element)
		if err != nil {
			return rec, err
		}
		rec.User.Fingerprints = append(rec.User.Fingerprints, f)
	}
	return rec, nil
}

// listed yields the elements of a list.
func listed(s *string) func(yield func(string) bool) {
	if s == nil {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(*s, elements)
}

func fingerprint(element string) (f registry.Fingerprint, err error) {
	sha256, rest, _ := strings.Cut(element, parts)
	created, expires, _ := strings.Cut(rest, parts)
	f.SHA256 = sha256
	if err = textTime(&f.Created, created); err == nil {
		err = textTime(&f.Expires, expires)
	}
	return f, err
}
