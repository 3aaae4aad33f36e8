package sqlstore

import (
	"context"

	"mqttwarden/registry"
)

// permissionsOfUser selects every role of a user with its permissions.
const permissionsOfUser = `SELECT ur.role_id, p.id, p.resource, p.operation, p.context, p.effect
	FROM user_roles ur LEFT JOIN permissions p ON p.role_id = ur.role_id
	WHERE ur.user_id = $1 ORDER BY ur.role_id, p.id`

func (r reader) RecordByID(ctx context.Context, id registry.UserID) (registry.Record, error) {
	return r.record(ctx, userByID, id)
}

func (r reader) RecordByName(ctx context.Context, username string) (registry.Record, error) {
	return r.record(ctx, userByName, username)
}

func (r reader) RecordByFingerprint(ctx context.Context, sha256 string) (registry.Record, error) {
	return r.record(ctx, userByFingerprint, sha256)
}

// record joins the user that the query finds and its permissions.
func (r reader) record(ctx context.Context, query string, key any) (registry.Record, error) {
	return view(ctx, r, func(t *sqlTx) (registry.Record, error) {
		u, err := one(ctx, t, scanUser, query, key)
		if err != nil {
			return registry.Record{}, missing(err, "user")
		}
		users := []registry.User{u}
		if err := attachFingerprints(ctx, t, users); err != nil {
			return registry.Record{}, err
		}
		u = users[0]
		var roles []registry.Role // id and permissions are all that a record takes of them
		scan := newPermissionScan()
		err = t.each(ctx, func(r row) error {
			id, p, ok, err := scan.permission(r)
			if len(roles) == 0 || roles[len(roles)-1].ID != id {
				roles = append(roles, registry.Role{ID: id})
				u.Roles = append(u.Roles, id)
			}
			if ok {
				last := &roles[len(roles)-1]
				last.Permissions = append(last.Permissions, p)
			}
			return err
		}, permissionsOfUser, u.ID)
		if err != nil {
			return registry.Record{}, err
		}
		return registry.NewRecord(u, roles), nil
	})
}
