package admin

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

const mostMemory = 128 << 20 // of a flood

// peak runs f and returns the most heap that was in use meanwhile, beyond what
// was before.
func peak(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, atomic.Uint64{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return most.Load() - min(before, most.Load())
}

// listening is a server with a listener.
func listening(t *testing.T, p *plant, s Settings) *Server {
	t.Helper()
	srv := serve(t, p, s)
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	return srv
}

// made is a server of a whole configuration.
func made(t *testing.T, cfg Config) *Server {
	t.Helper()
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.guard.delay = 0
	t.Cleanup(func() { _ = srv.Close(context.Background()) })
	return srv
}

// connect sends a part of a request and leaves the connection open.
func connect(t *testing.T, srv *Server, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, _ = io.WriteString(c, request) // it may have lost its place already
	return c
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}
