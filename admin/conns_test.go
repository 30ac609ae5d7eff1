package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Error(err)
	}
}
