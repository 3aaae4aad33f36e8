package registry

// absent remembers names that no user has, until some user changes: who tries the same
// wrong password again learns nothing from how long the answer takes. It is for one
// goroutine at a time.
type absent map[string]struct{}

// mostAbsent bounds how many names are remembered.
const mostAbsent = 10_000

func (a absent) put(name string) {
	if len(a) >= mostAbsent {
		for some := range a { // any makes room
			delete(a, some)
			break
		}
	}
	a[name] = struct{}{}
}

// ForgetAbsent forgets which names no user has, those that are looked for now included.
// It is for who has just changed a user and does not want to wait for the follower.
func (p *Principals) ForgetAbsent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetAbsent()
}

// forgetAbsent is ForgetAbsent for who holds mu.
func (p *Principals) forgetAbsent() {
	clear(p.absent)
	for l := range p.loads {
		l.old = true
	}
}

// missing returns the error of a look-up of a name, and remembers the name if no user
// had it all the while.
func (p *Principals) missing(l *load, username string, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.loads, l)
	if username != "" && isNotFound(err) && !l.old {
		p.absent.put(username)
	}
	return err
}
