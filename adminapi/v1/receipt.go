package v1

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mqttwarden/registry"
)

// Changes tells how far the line of changes is, and how far it is enforced here.
type Changes interface {
	Position(ctx context.Context) (registry.Position, error)
	Enforced() uint64
	WaitEnforced(ctx context.Context, n uint64) error
}

// maxWait bounds how long an answer may wait to be enforced.
const maxWait = 60 * time.Second

// Preference is part of every request that changes something.
type Preference struct {
	Prefer string `header:"Prefer" maxLength:"256" doc:"wait=N (RFC 7240): answer when the change is enforced, after N seconds at the latest; N is at most 60, and 0 is at once. Missing: 1, if the server has no other setting." example:"wait=5"`
}

// Receipt is part of every answer to such a request.
type Receipt struct {
	Change   string `header:"X-Change" doc:"The number of the change. GET /api/changes/{n} tells how far it is enforced. Missing when nothing changed."`
	Enforced string `header:"X-Change-Enforced" doc:"false, when the change stands and is not enforced yet. Missing: it is."`
	Applied  string `header:"Preference-Applied" doc:"wait=N, when the request preferred that and the change was enforced before the answer."`
}

// receipt makes the receipt for change n when it is enforced, so that whoever is
// answered finds it so. It waits as long as p asks, or as configured. The change
// stands whether or not it is enforced in time; the receipt says so.
func (a *API) receipt(ctx context.Context, p Preference, n uint64) Receipt {
	if n == 0 {
		return Receipt{}
	}
	r := Receipt{Change: strconv.FormatUint(n, 10)}
	wait, asked := p.wait()
	if !asked {
		wait = a.wait
	}
	switch {
	case !a.enforced(ctx, n, wait):
		r.Enforced = "false"
		a.late()
	case asked && wait > 0:
		r.Applied = "wait=" + strconv.Itoa(int(wait/time.Second))
	}
	return r
}

// enforced reports whether change n is enforced, after waiting for that.
func (a *API) enforced(ctx context.Context, n uint64, wait time.Duration) bool {
	if wait == 0 {
		return a.changes.Enforced() >= n
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return a.changes.WaitEnforced(ctx, n) == nil
}

// wait returns how long p asks to wait, if it does. What is not understood asks for
// nothing (RFC 7240 section 2).
func (p Preference) wait() (wait time.Duration, asked bool) {
	for preference := range strings.SplitSeq(p.Prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		value, _, _ = strings.Cut(value, ";")
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
		if err != nil {
			return 0, false
		}
		return min(time.Duration(n)*time.Second, maxWait), true
	}
	return 0, false
}

// changed is the answer to a change that has nothing else to say.
type changed struct{ Receipt }

// nodeJSON is one node of a changeJSON.
type nodeJSON struct {
	Node     string `json:"node" doc:"The node's name."`
	Enforced uint64 `json:"enforced" doc:"The number up to which it has enforced every change."`
}

// changeJSON says how far a change is enforced.
type changeJSON struct {
	Change   uint64     `json:"change" doc:"The change's number." example:"4711"`
	Enforced bool       `json:"enforced" doc:"Whether every node has enforced it, none missing."`
	Nodes    []nodeJSON `json:"nodes" doc:"How far each node is."`
	Missing  []string   `json:"missing" doc:"Nodes that should be there and do not report."`
}

// getChange serves GET /changes/{n}.
func (a *API) getChange(ctx context.Context, in *struct {
	N uint64 `path:"n" doc:"The number of the change." example:"4711"`
},
) (*struct{ Body changeJSON }, error) {
	enforced := a.changes.Enforced()
	if in.N > enforced {
		end, err := a.changes.Position(ctx)
		if err != nil {
			return nil, err
		}
		if in.N > end.Number {
			return nil, registry.Errorf(registry.NotFound, "", "there is no change %d yet", in.N)
		}
	}
	if in.N == 0 {
		return nil, registry.Errorf(registry.NotFound, "", "changes are counted from 1")
	}
	return &struct{ Body changeJSON }{changeJSON{
		Change:   in.N,
		Enforced: in.N <= enforced,
		Nodes:    []nodeJSON{{Node: a.node, Enforced: enforced}},
		Missing:  []string{},
	}}, nil
}
