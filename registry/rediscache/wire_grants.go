package rediscache

import (
	"fmt"
	"slices"
	"strings"

	"mqttwarden/registry/acl"
)

// wireGrants is a run of grants of one role, as columns: a user may have
// thousands, and reading them one by one takes three times as long.
type wireGrants struct {
	Role        string   `json:"role"`
	Kinds       string   `json:"kinds"` // three letters each, see kind
	Resources   []string `json:"resources"`
	Permissions []string `json:"permissions"`
}

// kindLen is how many letters of wireGrants.Kinds tell of one grant.
const kindLen = 3

// toWire returns grants in columns, in the order in which they are.
func toWire(grants []acl.Grant) []wireGrants {
	var runs []wireGrants
	for len(grants) > 0 {
		n := slices.IndexFunc(grants, func(g acl.Grant) bool { return g.Role != grants[0].Role })
		if n < 0 {
			n = len(grants)
		}
		runs = append(runs, columns(grants[:n]))
		grants = grants[n:]
	}
	return runs
}

// columns returns grants of one role.
func columns(grants []acl.Grant) wireGrants {
	var kinds strings.Builder
	for _, g := range grants {
		kinds.WriteString(kind(g))
	}
	return wireGrants{
		Role:        grants[0].Role,
		Kinds:       kinds.String(),
		Resources:   each(grants, func(g acl.Grant) string { return g.Resource }),
		Permissions: each(grants, func(g acl.Grant) string { return g.Permission }),
	}
}

// fromWire returns what toWire was given. It is strict: a letter that this
// program does not know must not become a default, which may allow.
func fromWire(runs []wireGrants) ([]acl.Grant, error) {
	total := 0
	for _, run := range runs {
		if len(run.Resources) != len(run.Permissions) || len(run.Kinds) != kindLen*len(run.Resources) {
			return nil, fmt.Errorf("rediscache: columns of %d, %d and %d grants",
				len(run.Kinds)/kindLen, len(run.Resources), len(run.Permissions))
		}
		total += len(run.Resources)
	}
	if total == 0 {
		return nil, nil
	}
	grants := make([]acl.Grant, 0, total)
	for _, run := range runs {
		for i := range run.Resources {
			g, err := ofKind(run.Kinds[kindLen*i:][:kindLen])
			if err != nil {
				return nil, err
			}
			g.Role, g.Resource, g.Permission = run.Role, run.Resources[i], run.Permissions[i]
			grants = append(grants, g)
		}
	}
	return grants, nil
}

// kind returns the letters of g: m or h for the context, r, w or b (both) for
// the operation, + or - for the effect. What it does not know becomes ?, which
// ofKind refuses.
func kind(g acl.Grant) string {
	k := [kindLen]byte{'?', '?', '?'}
	switch g.Context {
	case acl.MQTT:
		k[0] = 'm'
	case acl.HTTP:
		k[0] = 'h'
	default:
	}
	switch g.Operation {
	case acl.Read:
		k[1] = 'r'
	case acl.Write:
		k[1] = 'w'
	case acl.ReadWrite:
		k[1] = 'b'
	default:
	}
	switch g.Effect {
	case acl.Allow:
		k[2] = '+'
	case acl.Deny:
		k[2] = '-'
	default:
	}
	return string(k[:])
}

// ofKind returns a grant of that kind.
func ofKind(k string) (g acl.Grant, err error) {
	switch k[0] {
	case 'm':
		g.Context = acl.MQTT
	case 'h':
		g.Context = acl.HTTP
	default:
		err = fmt.Errorf("rediscache: a grant of kind %q", k)
	}
	switch k[1] {
	case 'r':
		g.Operation = acl.Read
	case 'w':
		g.Operation = acl.Write
	case 'b':
		g.Operation = acl.ReadWrite
	default:
		err = fmt.Errorf("rediscache: a grant of kind %q", k)
	}
	switch k[2] {
	case '+':
		g.Effect = acl.Allow
	case '-':
		g.Effect = acl.Deny
	default:
		err = fmt.Errorf("rediscache: a grant of kind %q", k)
	}
	return g, err
}
