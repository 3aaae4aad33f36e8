package registry

import (
	"context"
	"errors"
	"slices"
	"strings"

	"mqttwarden/registry/acl"
)

// What a caller may do to a user is judged by what the user's rights come to, before
// and after: with its name, its client IDs and the names in its certificates in place
// of placeholders, and with its publish prefix. So nobody reaches more by another name
// than by another role.

// rightsOf returns what the roles of a user, as they are stored, come to for the user
// as it is given. It returns nothing for a caller with all rights: nobody asks then.
func (e *Edit) rightsOf(ctx context.Context, u *User) ([]acl.Right, error) {
	if e.hasAllRights() {
		return nil, nil
	}
	roles, err := e.tx.RolesOf(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	names, err := e.certificateNames(ctx, u)
	if err != nil {
		return nil, err
	}
	held := acl.Held{Username: u.Username, ClientIDs: u.ClientIDs, Prefix: u.PublishPrefix, CertNames: names}
	var all []acl.Right
	for i := range roles {
		for _, g := range grants(roles[i].ID, roles[i].Permissions...) {
			all = append(all, held.Rights(g)...)
		}
	}
	return all, nil
}

// certificateNames returns the names in the certificates that a user may come to show:
// its own name, those in what we issued, the one in what the caller shows, and of
// others that they are not known, each apart.
func (e *Edit) certificateNames(ctx context.Context, u *User) ([]string, error) {
	names := []string{u.Username}
	for _, f := range u.Fingerprints {
		c, err := e.tx.IssuedByFingerprint(ctx, f.SHA256)
		switch {
		case err == nil:
			names = append(names, c.Username)
		case !errors.Is(err, NotFound):
			return nil, err
		default:
			names = append(names, e.nameShown(f.SHA256))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// nameShown returns the name in a certificate if the caller has shown it, which is none
// when nobody vouches for it.
func (e *Edit) nameShown(fp string) string {
	switch shown := e.caller.shown(fp); {
	case shown == nil:
		return acl.Unknown + fp
	case shown.Trusted || shown.Own:
		return shown.CommonName
	default:
		return ""
	}
}

// requireMayReplace returns Forbidden unless the caller may turn what a user has, the
// rights before, into the rights after: all that stays must be covered, for whoever
// changes a user could use its rights, and so must all that comes or goes. One's own
// rights need no cover, nor does it to give up one of them.
func (e *Edit) requireMayReplace(id UserID, before, after []acl.Right) error {
	if e.hasAllRights() {
		return nil
	}
	lost, gained := differences(before, after)
	touched := slices.Concat(lost, gained, allows(before), allows(after))
	if e.isSelf(id) {
		touched = append(slices.DeleteFunc(lost, isAllow), gained...)
	}
	for _, r := range touched {
		if !e.rights.CoversRight(r) {
			return errNotCovered(r)
		}
	}
	return nil
}

func errNotCovered(r acl.Right) error {
	under := ""
	if r.Prefix != "" {
		under = " under the publish prefix " + r.Prefix
	}
	return Errorf(Forbidden, "", "your own rights do not cover %s %s on %s%s", r.Context, r.Operation, r.Resource, under)
}

func isAllow(r acl.Right) bool { return r.Effect == acl.Allow }

func allows(rights []acl.Right) []acl.Right {
	return slices.DeleteFunc(slices.Clone(rights), func(r acl.Right) bool { return !isAllow(r) })
}

// differences returns the rights that stand in the first only, and in the second only.
// A deny is the same under another prefix: it is judged by the whole topic.
func differences(before, after []acl.Right) (lost, gained []acl.Right) {
	count := make(map[acl.Right]int, len(before))
	for _, r := range before {
		count[plain(r)]++
	}
	for _, r := range after {
		if k := plain(r); count[k] > 0 {
			count[k]--
		} else {
			gained = append(gained, r)
		}
	}
	for _, r := range before {
		if k := plain(r); count[k] > 0 {
			count[k]--
			lost = append(lost, r)
		}
	}
	return lost, gained
}

func plain(r acl.Right) acl.Right {
	if !isAllow(r) {
		r.Prefix = ""
	}
	return r
}

// mayGivePrefix returns Forbidden when the caller, who is confined by a publish prefix,
// gives one that leads out of it. It may be their own.
func (e *Edit) mayGivePrefix(prefix string) error {
	if e.hasAllRights() || strings.HasPrefix(prefix, e.rights.Prefix()) {
		return nil
	}
	return Errorf(Forbidden, FieldPublishPrefix, "must begin with %s, as yours does", e.rights.Prefix())
}

// mayTakeClientIDs returns Forbidden when users without all rights let themselves use
// other client IDs than before: others may have them, and ${clientid} stands for them.
// Who has no list takes IDs away from others by making one.
func (e *Edit) mayTakeClientIDs(before, after *User) error {
	if !e.isSelf(after.ID) || e.hasAllRights() {
		return nil
	}
	added := slices.ContainsFunc(after.ClientIDs, func(id string) bool { return !slices.Contains(before.ClientIDs, id) })
	added = added || len(without(after.ReservedClientIDs(), before.ReservedClientIDs())) > 0 // by another name
	if added || len(after.ClientIDs) == 0 && len(before.ClientIDs) > 0 {
		return Errorf(Forbidden, FieldClientIDs, "of oneself can only become fewer: another user may add to them")
	}
	return nil
}
