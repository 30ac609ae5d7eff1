package breaker_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// network loses connections as a NAT does: what is sent on them goes nowhere, and nothing
// says so.
type network struct {
	lost atomic.Pointer[atomic.Bool] // of the connections that are made now
}

func (n *network) put(tr *http.Transport) {
	n.lost.Store(new(atomic.Bool))
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, to, addr string) (net.Conn, error) {
		c, err := dial(ctx, to, addr)
		return lossy{c, n.lost.Load()}, err
	}
}

// lose loses all connections that there are.
func (n *network) lose() { n.lost.Swap(new(atomic.Bool)).Store(true) }

type lossy struct {
	net.Conn
	lost *atomic.Bool
}

func (c lossy) Write(p []byte) (int, error) {
	if c.lost.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// TestDeadConnectionsAreNotTriedOneByOne: each probe took one of the dead connections of the
// pool, or the one of HTTP/2 again and again, and the service was refused for an hour.
func TestDeadConnectionsAreNotTriedOneByOne(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		base := serveInMemory(t, http2, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
		base.MaxIdleConnsPerHost = 100
		var n network
		n.put(base)
		b, client := newMail(t, base, breaker.Settings{})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _ = call(client, "/v1", nil) })
		}
		all.Wait()
		n.lose()
		begun := time.Now()
		for call(client, "/v1", nil) != nil && time.Since(begun) < time.Hour {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(begun); took > 70*time.Second { // ten time-outs, and the open time
			t.Errorf("no answer for %v (%v)", took, b.State())
		}
	})
}

// TestAServiceThatIsDownKeepsTheIdleConnections of others for the most part.
func TestAServiceThatIsDownKeepsTheIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := serveInMemory(t, false, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		b, err := breaker.Spawn(newSystem(t), mailService, breaker.Settings{ClosedFailLimit: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Stop(context.Background()) }()
		counted := &idle{roundTripper: base.RoundTrip}
		client := &http.Client{Transport: b.Transport(counted)}
		probes := 0
		for begun := time.Now(); time.Since(begun) < 10*time.Minute; time.Sleep(100 * time.Millisecond) {
			if b.State() != breaker.Open {
				probes++
				_ = call(client, "/v1", nil)
			}
		}
		if counted.n < 1 || counted.n > 20 || probes < 30 {
			t.Errorf("they were closed %d times in ten minutes, for %d probes", counted.n, probes)
		}
	})
}
