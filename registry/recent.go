package registry

import "container/list"

// recent keeps the subjects that were asked for last, by the names of their users,
// so many that they take no more than a number of bytes. It is for one goroutine
// at a time.
type recent struct {
	limit, bytes int
	names        map[string]*list.Element // of order
	order        *list.List               // of *kept, the latest first
	roles        map[RoleID]*roleUse
}

// kept is one subject and what is counted for it.
type kept struct {
	subject *Subject
	name    string
	bytes   int      // without its roles, which others hold as well
	roles   []RoleID // that are counted for it
}

// roleUse is a role that kept subjects hold. It is counted once.
type roleUse struct{ holders, bytes int }

func newRecent(limit int) *recent {
	return &recent{
		limit: limit,
		names: make(map[string]*list.Element),
		order: list.New(),
		roles: make(map[RoleID]*roleUse),
	}
}

// get returns the subject that stands under a name, nil for none, as the one that
// was asked for last.
func (r *recent) get(name string) *Subject {
	e := r.names[name]
	if e == nil {
		return nil
	}
	r.order.MoveToFront(e)
	return e.Value.(*kept).subject
}

// put keeps s, whose principal is pr, as the one asked for last. Those that were
// not asked for the longest make room for it.
func (r *recent) put(s *Subject, pr *Principal) {
	name := pr.User.Username
	r.drop(r.names[name])
	k := &kept{subject: s, name: name}
	r.names[name] = r.order.PushFront(k)
	r.count(k, pr)
	for r.bytes > r.limit && r.order.Len() > 0 {
		r.drop(r.order.Back())
	}
}

// replace has s, if it stands under the name, be kept for its new principal pr.
// It is forgotten where the user is gone, that is when pr is nil, or has another
// name now.
func (r *recent) replace(s *Subject, name string, pr *Principal) {
	if pr == nil || pr.User.Username != name {
		r.remove(s, name)
		return
	}
	if e := r.names[name]; e != nil && e.Value.(*kept).subject == s {
		k := e.Value.(*kept)
		r.release(k)
		r.count(k, pr)
	}
}

// remove forgets s if it stands under the name.
func (r *recent) remove(s *Subject, name string) {
	if e := r.names[name]; e != nil && e.Value.(*kept).subject == s {
		r.drop(e)
	}
}

func (r *recent) drop(e *list.Element) {
	if e == nil {
		return
	}
	k := r.order.Remove(e).(*kept)
	delete(r.names, k.name)
	r.release(k)
}

// count counts pr for k.
func (r *recent) count(k *kept, pr *Principal) {
	k.bytes, k.roles = pr.size(), pr.User.Roles
	r.bytes += k.bytes
	for _, h := range pr.held.roles {
		use := r.roles[h.id]
		if use == nil {
			use = &roleUse{}
			r.roles[h.id] = use
		}
		use.holders++
		r.resize(use, h)
	}
}

// release takes back what count counted.
func (r *recent) release(k *kept) {
	r.bytes -= k.bytes
	for _, id := range k.roles {
		use := r.roles[id]
		if use.holders--; use.holders == 0 {
			r.bytes -= use.bytes
			delete(r.roles, id)
		}
	}
}

// changed counts roles as they are now.
func (r *recent) changed(roles map[RoleID]*heldRole) {
	for id, h := range roles {
		if use := r.roles[id]; use != nil {
			r.resize(use, h)
		}
	}
}

func (r *recent) resize(use *roleUse, h *heldRole) {
	r.bytes += h.set.Size() - use.bytes
	use.bytes = h.set.Size()
}
