package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// TestAFloodOfConnectionsIsBoundedAndAProbeGetsThrough holds connections open
// that ask for nothing, one that is at work, and far more than may be.
func TestAFloodOfConnectionsIsBoundedAndAProbeGetsThrough(t *testing.T) {
	srv := serve(t, newPlant(), Settings{Listen: "127.0.0.1:0"})
	srv.conns.most, srv.conns.perPeer = 8, 8
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	stream, err := client.Get(srv.URL() + "api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	var held []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", srv.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	res, err := client.Get(srv.URL() + "livez")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the probe: %v %v", res, err)
	}
	res.Body.Close()
	// All were accepted before the probe; those but the last few have been closed.
	for i, c := range held[:90] {
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if n := srv.conns.count(); n > 8 {
		t.Errorf("%d connections are open", n)
	}
	if _, err := io.ReadFull(stream.Body, make([]byte, 20)); err != nil {
		t.Errorf("the one at work was closed: %v", err)
	}
}

// count is how many connections have a place.
func (c *conns) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// TestAConnectionThatNeverAsksHoldsNoStopUp: browsers open some to have them at
// hand, and health checks of TCP alone.
func TestAConnectionThatNeverAsksHoldsNoStopUp(t *testing.T) {
	srv := serve(t, newPlant(), Settings{Listen: "127.0.0.1:0"})
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", srv.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(srv.URL() + "livez")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close() // accepted after the other one
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := srv.conns.count(); n != 0 {
		t.Errorf("%d connections are still counted", n)
	}
}

// TestAViewerThatDoesNotReadHoldsNoStopUp: a laptop that was closed.
func TestAViewerThatDoesNotReadHoldsNoStopUp(t *testing.T) {
	p := newPlant()
	srv := serve(t, p, Settings{Listen: "127.0.0.1:0"})
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", srv.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil { // it is a viewer now
		t.Fatal(err)
	}
	v := &viewer{frames: make(chan []byte, viewerBuffer)} // hears when the frame is out
	srv.hub.join <- v
	srv.conns.mu.Lock()
	for conn := range srv.conns.at {
		_ = conn.(*net.TCPConn).SetWriteBuffer(4 << 10) // so that a frame is more than the sockets hold
	}
	srv.conns.mu.Unlock()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	line := strings.Repeat("x", 16<<10)
	for range 64 {
		p.set(func() {
			for _, f := range p.follow {
				f <- line
			}
		})
	}
	for f := range v.frames {
		if len(f) > maxBatchBytes-len(line) {
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestHostileConnectionsKeepNoProbeOut: 600 requests with a body that never comes,
// of clients without a token, or of any program on a machine without one. See
// hiero-ledger/hiero-block-node#3168.
func TestHostileConnectionsKeepNoProbeOut(t *testing.T) {
	body := "Host: localhost\r\nContent-Type: application/json\r\nChassis-Command: 1\r\nContent-Length: 100\r\n"
	for name, c := range map[string]struct {
		set     Settings
		request string
	}{
		"a command, without the token":    {Settings{Token: settings.NewSecret(goodToken)}, "POST /api/v1/tasks/pause HTTP/1.1\r\n" + body + "\r\n{"},
		"a command, and none is needed":   {Settings{}, "POST /api/v1/tasks/pause HTTP/1.1\r\n" + body + "\r\n{"},
		"a probe with a body":             {Settings{}, "GET /readyz HTTP/1.1\r\n" + body + "\r\n"},
		"no path of the server":           {Settings{}, "POST /nothing HTTP/1.1\r\n" + body + "\r\n"},
		"a wrong token":                   {Settings{Token: settings.NewSecret(goodToken)}, "GET /api/v1/state HTTP/1.1\r\nAuthorization: Bearer wrong\r\n" + body + "\r\n"},
		"a foreign host":                  {Settings{}, "POST / HTTP/1.1\r\n" + strings.Replace(body, "localhost", "evil.example", 1) + "\r\n"},
		"headers that never end":          {Settings{}, "GET /livez HTTP/1.1\r\nHost: localhost\r\n"},
		"a chunked body that never comes": {Settings{}, "POST /api/v1/log/level HTTP/1.1\r\nHost: localhost\r\nChassis-Command: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant()
			c.set.Listen = "127.0.0.1:0"
			srv := listening(t, p, c.set)
			srv.guard.delay = wrongTokenDelay
			failed := 0
			most := peak(func() {
				for range 600 {
					connect(t, srv, c.request)
				}
				client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
				for i := range 100 {
					res, err := client.Get(srv.URL() + []string{"livez", "readyz", "startupz"}[i%3])
					if err != nil || res.StatusCode != http.StatusOK {
						failed++
						t.Logf("probe %d: %v %v", i, res, err)
						continue
					}
					res.Body.Close()
				}
			})
			if failed > 0 {
				t.Errorf("%d of 100 probes failed", failed)
			}
			if n := srv.conns.count(); n > maxConns {
				t.Errorf("%d connections are open", n)
			}
			if most > mostMemory {
				t.Errorf("it took %d MB", most>>20)
			}
			if done := p.done(); len(done) > 0 {
				t.Errorf("it did %q", done)
			}
		})
	}
}

// TestHostileRequestIsAnsweredBeforeItsBody: the refusal does not wait.
func TestHostileRequestIsAnsweredBeforeItsBody(t *testing.T) {
	srv := listening(t, newPlant(), Settings{Listen: "127.0.0.1:0", Token: settings.NewSecret(goodToken)})
	for path, want := range map[string]int{"/api/v1/tasks/pause": 401, "/livez": 405} {
		c := connect(t, srv, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(readTimeout / 2))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != want || !res.Close {
			t.Errorf("%s: %v %v", path, res, err)
		}
	}
}

// TestHostilePeerTakesNoOthersPlace: one address is held to a part of the connections.
func TestHostilePeerTakesNoOthersPlace(t *testing.T) {
	c := newConns(16, 8)
	other := &fakeConn{address: "10.0.0.2:1"}
	c.watch(other, http.StateNew)
	for i := range 100 {
		c.watch(&fakeConn{address: fmt.Sprintf("10.0.0.1:%d", i)}, http.StateNew)
	}
	if n := c.peers["10.0.0.1"].open; n != 8 || other.closed {
		t.Errorf("the one has %d connections, the other's was closed: %v", n, other.closed)
	}
	for i := range 100 {
		c.watch(&fakeConn{address: fmt.Sprintf("10.0.1.%d:1", i)}, http.StateNew)
	}
	if c.open > 16 {
		t.Errorf("%d connections", c.open)
	}
}

type fakeConn struct {
	net.Conn
	address string
	closed  bool
}

func (f *fakeConn) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.address)
	return a
}

func (f *fakeConn) Close() error { f.closed = true; return nil }
