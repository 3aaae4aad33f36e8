package registry

import (
	"context"
	"sync"
	"time"
)

// Bus is how the nodes of one store tell each other how far they are. Nothing depends
// on it: what is lost on the way is found by looking, and what arrives is a reason to
// look at the store, which alone says what has changed.
type Bus interface {
	// Tell tells the other nodes how far this one is, soon and at best. It does not
	// wait. What is zero in p is as it was.
	Tell(p Progress)
	// Listen calls hear with what each other node tells, until ctx ends: with no node and
	// nothing when something may have been missed. Calls do not overlap.
	Listen(ctx context.Context, hear func(node string, p Progress))
}

// Progress is how far a node is in the line of changes.
type Progress struct {
	Committed uint64   // the highest change that it has committed itself
	Enforced  Position // it enforces every change up to this one
}

// Peer is another node that was heard lately. A node that starts anew is another one.
type Peer struct {
	Node string // the id of its process
	Progress
	Heard time.Time
}

// Join has the follower tell others over bus what is committed and enforced here, and
// look when they tell of something new. It must be called before Start.
func (f *Follower) Join(bus Bus) { f.bus = bus }

// Committed says that change n was committed by this node: it is looked at now, and
// other nodes are told. It does not wait.
func (f *Follower) Committed(n uint64) {
	f.Wake()
	f.tell(Progress{Committed: n})
}

func (f *Follower) tell(p Progress) {
	if f.bus != nil {
		f.bus.Tell(p)
	}
}

// hear looks at the store if another node knows of more than this one, or may do so.
func (f *Follower) hear(node string, p Progress) {
	if node != "" {
		f.peers.hear(Peer{node, p, f.cfg.Now()})
	}
	if node == "" || max(p.Committed, p.Enforced.Number) > f.Enforced() {
		f.Wake()
	}
}

// Peers returns the other nodes that were heard lately, and how far they are.
func (f *Follower) Peers() []Peer { return f.peers.lately(f.cfg.Now()) }

// peerSilence is how long a node may say nothing before it is forgotten.
const peerSilence = 30 * time.Second

// peers are the nodes that were heard.
type peers struct {
	mu  sync.Mutex
	all map[string]Peer
}

func (p *peers) hear(peer Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = make(map[string]Peer)
	}
	p.forget(peer.Heard)
	p.all[peer.Node] = peer
}

func (p *peers) lately(now time.Time) []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	list := make([]Peer, 0, len(p.all))
	for _, peer := range p.all {
		list = append(list, peer)
	}
	return list
}

// forget drops who has been silent for too long. The caller holds mu.
func (p *peers) forget(now time.Time) {
	for node, peer := range p.all {
		if now.Sub(peer.Heard) > peerSilence {
			delete(p.all, node)
		}
	}
}
