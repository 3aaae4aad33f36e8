package secret

import (
	"context"
	"strings"
	"testing"
)

// cheap are the least parameters there are: for tests, where only the paths
// matter.
var cheap = Params{Memory: 8, Time: 1, Threads: 1}

// slow stands for a format whose hash takes as long as a test wants: "$slow$pw"
// is a stored hash of "pw".
type slow struct {
	begun chan string // each password, when its hash begins
	end   chan struct{}
}

// slowPool returns a pool that verifies such hashes too.
func slowPool(workers, queue int) (*Pool, slow) {
	s := slow{begun: make(chan string, 100), end: make(chan struct{})}
	p := NewPool(PoolConfig{Params: cheap, Workers: workers, Queue: queue})
	p.formats = append(p.formats, format{"$slow$", func(encoded string) (func(string) bool, error) {
		return func(password string) bool {
			s.begun <- password
			<-s.end
			return strings.TrimPrefix(encoded, "$slow$") == password
		}, nil
	}})
	return p, s
}

// mustHash returns a stored hash of password.
func mustHash(tb testing.TB, p *Pool, password string) string {
	tb.Helper()
	encoded, err := p.Hash(context.Background(), password)
	if err != nil {
		tb.Fatal(err)
	}
	return encoded
}
