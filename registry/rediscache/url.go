package rediscache

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errURL says what is accepted and repeats nothing of what was given, which may
// hold a password.
var errURL = errors.New("the Redis URL must be redis://[user:password@]host[:port][/database], " +
	"redis+sentinel://[user:password@]host[:port],…/master[/database] " +
	"or redis+cluster://[user:password@]host[:port],…; with rediss:// in place of redis://, and likewise for the others, there is TLS; " +
	"characters of user and password other than letters, digits, - . _ and ~ must be percent-encoded")

// ValidateURL reports whether s names Redis servers in a form that Open takes.
// Its error does not repeat s.
func ValidateURL(s string) error {
	_, err := parseURL(s)
	return err
}

// kind is how Redis servers belong together.
type kind string

const (
	single   kind = ""          // one server
	sentinel kind = "+sentinel" // a master and its replicas; sentinels know which is which
	cluster  kind = "+cluster"  // masters that divide the slots among themselves
)

// standardPort is where servers of a kind listen that are named without a port.
func (k kind) standardPort() string {
	if k == sentinel {
		return "26379"
	}
	return "6379"
}

// target is where Redis is, and who signs in there.
type target struct {
	kind     kind
	addrs    []string // host:port; of sentinels if kind says so
	master   string   // how sentinels call it
	tls      bool
	user     string
	password string
	db       int
}

// parseURL reads the forms that errURL names. A list of hosts is more than a URL
// can have, so each host is read as that of a URL of its own.
func parseURL(s string) (target, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	t, known := schemes()[scheme]
	if !ok || !known {
		return target{}, errURL
	}
	authority, path, _ := strings.Cut(rest, "/")
	account, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		account, hosts = authority[:at+1], authority[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if err := t.addHost(account + host); err != nil {
			return target{}, err
		}
	}
	if (t.kind == single && len(t.addrs) > 1) || !t.place(path) {
		return target{}, errURL
	}
	return t, nil
}

// schemes are those of the URLs, and what they say.
func schemes() map[string]target {
	all := make(map[string]target)
	for _, k := range []kind{single, sentinel, cluster} {
		all["redis"+string(k)] = target{kind: k}
		all["rediss"+string(k)] = target{kind: k, tls: true}
	}
	return all
}

// addHost takes over what stands between the slashes of a URL with one host.
func (t *target) addHost(authority string) error {
	u, err := url.Parse("redis://" + authority) // its error holds the password
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Path != "" {
		return errURL
	}
	port := u.Port()
	if port == "" {
		port = t.kind.standardPort()
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return errURL
	}
	t.user = u.User.Username()
	t.password, _ = u.User.Password()
	addr := net.JoinHostPort(u.Hostname(), port)
	if !slices.Contains(t.addrs, addr) {
		t.addrs = append(t.addrs, addr)
	}
	return nil
}

var masterName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// place takes over what stands behind the hosts: the master's name and the database.
func (t *target) place(path string) (ok bool) {
	if t.kind == sentinel {
		t.master, path, _ = strings.Cut(path, "/")
		if !masterName.MatchString(t.master) {
			return false
		}
	}
	switch {
	case path == "":
		return true
	case t.kind == cluster: // has one database
		return false
	}
	db, err := strconv.ParseUint(path, 10, 16)
	t.db = int(db) // #nosec G115 -- it has 16 bits
	return err == nil
}
