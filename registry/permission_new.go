package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mqttwarden/registry/acl"
)

// validateNew is Validate for a permission that is given now. It refuses as well what
// would never match: the placeholders of other brokers, and publishing below "$".
func (p *Permission) validateNew() error {
	if err := p.Validate(); err != nil {
		return err
	}
	for level := range strings.SplitSeq(p.Resource, "/") {
		if use := foreignPlaceholder(level); use != "" {
			return Errorf(Invalid, FieldResource, "%q: %q is a placeholder of another broker: %s", p.Resource, level, use)
		}
	}
	if p.publishesBelowDollar() {
		return Errorf(Invalid, FieldResource, "%q: nobody publishes to topics that begin with $, so write never acts: give read", p.Resource)
	}
	return nil
}

// publishesBelowDollar reports whether p lets its holders publish to topics that begin
// with "$", which the broker takes from nobody. readWrite on $SYS/# is a part of all
// rights, and stays.
func (p *Permission) publishesBelowDollar() bool {
	return p.Context == acl.MQTT && p.Effect == acl.Allow && p.Operation&acl.Write != 0 &&
		strings.HasPrefix(p.Resource, "$") && !strings.HasPrefix(p.Resource, "${") && (p.Operation != acl.ReadWrite || p.Resource != "$SYS/#")
}

// foreignPlaceholder returns what to write in the place of a level that is a
// placeholder elsewhere, empty if it is none.
//
//	%u %c %m                Mosquitto, VerneMQ, EMQX
//	$username {client_id}   other brokers, and templates of all kinds
func foreignPlaceholder(level string) string {
	switch level {
	case "%u":
		return "use ${username}"
	case "%c":
		return "use ${clientid}"
	case "%C":
		return "use ${cert.cn}"
	case "%m":
		return "use the user's mqttPublishPrefix"
	}
	name, marked := unmarked(level)
	if !marked {
		return ""
	}
	switch strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(name)) {
	case "username", "user", "clientusername", "mqttusername":
		return "use ${username}"
	case "clientid", "client", "mqttclientid":
		return "use ${clientid}"
	case "cn", "commonname", "certcn", "certcommonname":
		return "use ${cert.cn}"
	default:
		return ""
	}
}

// unmarked returns a name without the signs around it that make it a placeholder.
func unmarked(level string) (name string, marked bool) {
	for _, signs := range [][2]string{{"{{", "}}"}, {"%{", "}"}, {"{", "}"}, {"<", ">"}, {"[", "]"}, {"%", "%"}, {"$", ""}} {
		if inner, ok := strings.CutPrefix(level, signs[0]); ok {
			if inner, ok = strings.CutSuffix(inner, signs[1]); ok {
				return inner, true
			}
		}
	}
	return level, false
}

// same reports whether two permissions give, or forbid, the same.
func (p *Permission) same(other *Permission) bool {
	return p.Resource == other.Resource && p.Operation == other.Operation && p.Context == other.Context && p.Effect == other.Effect
}

// refuseTwice returns Conflict when the role has another permission that is the same as
// p: to take one of them away would leave the right.
func (r *Role) refuseTwice(p *Permission) error {
	i := slices.IndexFunc(r.Permissions, func(q Permission) bool { return q.ID != p.ID && q.same(p) })
	if i < 0 {
		return nil
	}
	return Errorf(Conflict, "", "the role has this permission already: its id is %s", r.Permissions[i].ID)
}

// permissions returns the permissions that are asked for. What is wrong with one is
// told with its place in the list.
func permissions(specs []PermissionSpec) ([]Permission, error) {
	if len(specs) > MaxPermissionsPerRole {
		return nil, Errorf(Invalid, FieldPermissions, "are %d: must be at most %d", len(specs), MaxPermissionsPerRole)
	}
	out := make([]Permission, 0, len(specs))
	places := make(map[PermissionSpec]int, len(specs))
	for i, spec := range specs {
		if first, twice := places[spec]; twice {
			return nil, Errorf(Conflict, entry(i, ""), "is the same as %s", entry(first, ""))
		}
		places[spec] = i
		p, err := spec.permission()
		if err != nil {
			return nil, inEntry(i, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// ValidateWishes reports what is wrong with permissions that are asked for, as
// permissions does.
func ValidateWishes(specs []PermissionSpec) error {
	_, err := permissions(specs)
	return err
}

// inEntry returns err as one about an entry of a list of permissions.
func inEntry(i int, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return Errorf(e.Code, entry(i, e.Field), "%s", e.Detail)
	}
	return err
}

// entry names an entry of a list of permissions, or a field of it.
func entry(i int, f Field) Field {
	name := Field(fmt.Sprintf("%s[%d]", FieldPermissions, i))
	if f != "" {
		name += "." + f
	}
	return name
}
