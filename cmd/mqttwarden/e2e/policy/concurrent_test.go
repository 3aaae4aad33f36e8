package policy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mqttwarden/broker/mqtttest"
	"mqttwarden/cmd/mqttwarden/internal/rig"
)

// signIn connects by MQTT 3.1.1 and returns the code of the CONNACK. Unlike the
// clients of the rig it may be called from any goroutine.
func signIn(ctx context.Context, addr string, c mqtttest.Connect) (byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		return 0, err
	}
	if _, err := conn.Write(mqtttest.Encode(c.Packet(4))); err != nil {
		return 0, err
	}
	ack := make([]byte, 4) // of MQTT 3.1.1: its code is the last
	_, err = io.ReadFull(conn, ack)
	return ack[3], err
}

// TestNobodySignsInOnceDisabledIsEnforced has many sign in all the time while
// their user is disabled and enabled: what the receipt says must hold.
func TestNobodySignsInOnceDisabledIsEnforced(t *testing.T) {
	p := rig.Launch(t)
	id := p.User("gw1")
	beside := p.User("beside")
	var stop atomic.Bool
	var phase atomic.Int64 // odd while the user is known to be disabled
	var in, refused atomic.Int64
	more := make(chan struct{}, 1)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop.Store(true)
	for i := range 4 {
		clients.Go(func() {
			c := rig.As("gw1", "gw1-"+string(rune('a'+i)))
			for !stop.Load() {
				before := phase.Load()
				code, err := signIn(t.Context(), p.URLs["mqtt"], c)
				switch {
				case err != nil:
					t.Error(err)
					return
				case code != 0:
					refused.Add(1)
				case before%2 == 1 && before == phase.Load():
					t.Error("signed in after the receipt said that the user is disabled")
				default:
					in.Add(1)
				}
				select {
				case more <- struct{}{}:
				default:
				}
			}
		})
	}
	// await lets clients try until count grows by n.
	await := func(count *atomic.Int64, n int64) {
		t.Helper()
		late := time.After(rig.Patience)
		for want := count.Load() + n; count.Load() < want; {
			select {
			case <-more:
			case <-late:
				t.Fatal("the clients are stuck")
			}
		}
	}
	for range 15 {
		await(&in, 4)
		p.Must(http.StatusOK, "PUT", "/users/"+beside, rig.Object{"isActive": false}) // others change, too
		p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"isActive": false})
		phase.Add(1)
		await(&refused, 8) // of which the first may have been asked before
		phase.Add(1)
		p.Must(http.StatusOK, "PUT", "/users/"+beside, rig.Object{"isActive": true})
		p.Must(http.StatusOK, "PUT", "/users/"+id, rig.Object{"isActive": true})
	}
	t.Logf("%d signed in, %d were refused", in.Load(), refused.Load())
}
