package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// masterName is how the sentinels of Failover call their master.
const masterName = "main"

// Failover is a master with one replica, and three sentinels that make the replica
// the master when the master does not answer for 300 ms.
type Failover struct {
	URL       string // of the sentinels
	Servers   []*Server
	Sentinels []*Server
}

// StartFailover starts them, and waits until each sentinel knows of the others and of
// the replica. Nothing is asked for a password.
func StartFailover(tb testing.TB) *Failover {
	tb.Helper()
	master := Start(tb, "--repl-diskless-sync-delay", "0", "--enable-debug-command", "local")
	host, port := split(tb, master.Addr)
	f := &Failover{Servers: []*Server{master, Start(tb, "--replicaof", host+" "+port)}}
	f.Servers[1].await("the replica has its master", func() bool {
		return strings.Contains(f.Servers[1].ask("INFO replication"), "master_link_status:up")
	})
	urls := make([]string, 0, 3)
	for range 3 {
		s := startSentinel(tb, host, port)
		f.Sentinels = append(f.Sentinels, s)
		urls = append(urls, s.Addr)
	}
	for _, s := range f.Sentinels {
		s.await("sentinels know each other", func() bool {
			about := s.ask("INFO sentinel")
			return strings.Contains(about, "slaves=1,sentinels=3")
		})
	}
	f.URL = "redis+sentinel://" + strings.Join(urls, ",") + "/" + masterName
	return f
}

// startSentinel starts a sentinel, which wants a file that it may write to.
func startSentinel(tb testing.TB, host, port string) *Server {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "sentinel.conf")
	conf := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s 300\n"+
		"sentinel failover-timeout %[1]s 2000\n", masterName, host, port)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	return startWith(tb, &Server{tb: tb, file: file, args: []string{"--sentinel"}})
}

// Cluster is a cluster of masters, without replicas unless one is added.
type Cluster struct {
	URL     string
	Servers []*Server
}

// slots is how many a cluster has.
const slots = 16384

// StartCluster starts a cluster of three masters, among which the slots are divided,
// and waits until each of them says that it is complete.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c := &Cluster{}
	addrs := make([]string, 0, 3)
	for range 3 {
		s := startClusterServer(tb)
		c.Servers = append(c.Servers, s)
		addrs = append(addrs, s.Addr)
	}
	c.URL = "redis+cluster://" + strings.Join(addrs, ",")
	for i, s := range c.Servers {
		s.must("CLUSTER SET-CONFIG-EPOCH " + fmt.Sprint(i+1))
		s.must(fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/3, (i+1)*slots/3-1))
		s.meet(c.Servers[0])
	}
	c.awaitNodes(3)
	return c
}

func startClusterServer(tb testing.TB) *Server {
	tb.Helper()
	_, port := split(tb, freeAddr(tb))
	s := &Server{tb: tb, busPort: port}
	s.args = []string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-port", port,
		"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
	}
	return startWith(tb, s)
}

// meet has s know another server of the cluster, and be known by it.
func (s *Server) meet(other *Server) {
	host, port := split(s.tb, other.Addr)
	s.must("CLUSTER MEET " + host + " " + port + " " + other.busPort)
}

// awaitNodes waits until each server says that the cluster is whole.
func (c *Cluster) awaitNodes(n int) {
	for _, s := range c.Servers {
		s.await("the cluster is whole", func() bool {
			about := s.ask("CLUSTER INFO")
			return strings.Contains(about, "cluster_state:ok") &&
				strings.Contains(about, fmt.Sprintf("cluster_known_nodes:%d\r", n)) &&
				strings.Contains(about, fmt.Sprintf("cluster_slots_ok:%d\r", slots))
		})
	}
}

// Owner returns the master of a key's slot.
func (c *Cluster) Owner(key string) *Server {
	s := c.Servers[0]
	answer := s.ask("GET " + key)
	if moved, ok := strings.CutPrefix(answer, "-MOVED "); ok {
		addr := strings.Fields(moved)[1]
		return c.Servers[slices.IndexFunc(c.Servers, func(s *Server) bool { return s.Addr == addr })]
	}
	return s
}

// Move gives the slot of a key to another master, with all that is in it, and returns
// that one.
func (c *Cluster) Move(key string) *Server {
	from := c.Owner(key)
	from.tb.Helper()
	to := c.Servers[(slices.Index(c.Servers, from)+1)%3]
	slot := from.ask("CLUSTER KEYSLOT " + key)
	fromID, toID := from.nodeID(), to.nodeID()
	to.must("CLUSTER SETSLOT " + slot + " IMPORTING " + fromID)
	from.must("CLUSTER SETSLOT " + slot + " MIGRATING " + toID)
	host, port := split(from.tb, to.Addr)
	for {
		keys := strings.Fields(from.ask("CLUSTER GETKEYSINSLOT " + slot + " 100"))
		if len(keys) == 0 {
			break
		}
		from.must(fmt.Sprintf("MIGRATE %s %s \"\" 0 5000 KEYS %s", host, port, strings.Join(keys, " ")))
	}
	to.must("CLUSTER SETSLOT " + slot + " NODE " + toID)
	from.must("CLUSTER SETSLOT " + slot + " NODE " + toID)
	return to
}

// AddReplica gives a master a replica, which takes its place when it is gone.
func (c *Cluster) AddReplica(of *Server) *Server {
	of.tb.Helper()
	r := startClusterServer(of.tb)
	c.Servers = append(c.Servers, r)
	r.meet(of)
	id := of.nodeID()
	r.await("the replica knows its master", func() bool { return strings.Contains(r.ask("CLUSTER NODES"), id) })
	r.must("CLUSTER REPLICATE " + id)
	r.await("the replica has its master", func() bool {
		return strings.Contains(r.ask("INFO replication"), "master_link_status:up")
	})
	c.awaitNodes(len(c.Servers))
	return r
}

func (s *Server) nodeID() string { return s.ask("CLUSTER MYID") }

// await waits until something holds.
func (s *Server) await(what string, holds func() bool) {
	s.tb.Helper()
	for deadline := time.Now().Add(2 * patience); !holds(); {
		if time.Now().After(deadline) {
			s.tb.Fatalf("redistest: in vain: %s", what)
		}
		select {
		case <-s.tb.Context().Done():
			s.tb.Fatalf("redistest: in vain: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// must sends a command that must not fail.
func (s *Server) must(command string) {
	s.tb.Helper()
	if answer := s.ask(command); answer == "" || strings.HasPrefix(answer, "-") {
		s.tb.Fatalf("redistest: %s: %s", command, answer)
	}
}

func split(tb testing.TB, addr string) (host, port string) {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return host, port
}
