package parts

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// conns are the connections of a server that net/http leaves alone in a shutdown: new
// ones, which it waits five seconds for, and those that a handler has taken over.
type conns struct {
	mu       sync.Mutex // guards all
	fresh    map[net.Conn]time.Time
	hijacked map[net.Conn]struct{}
	sweepAt  int // hijacked ones from which those that are closed are looked for
}

// minSweep is the least number of connections that are looked through.
const minSweep = 64

// watch takes note of a change.
func (c *conns) watch(conn net.Conn, state http.ConnState, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		c.fresh, c.hijacked, c.sweepAt = map[net.Conn]time.Time{}, map[net.Conn]struct{}{}, minSweep
	}
	if state == http.StateNew {
		c.fresh[conn] = now
		return
	}
	delete(c.fresh, conn)
	if state == http.StateHijacked {
		c.hijacked[conn] = struct{}{}
		if len(c.hijacked) >= c.sweepAt {
			c.sweep()
			c.sweepAt = max(2*len(c.hijacked), minSweep)
		}
	}
}

// sweep forgets the connections that are closed.
func (c *conns) sweep() {
	for conn := range c.hijacked {
		if closed(conn) {
			delete(c.hijacked, conn)
		}
	}
}

// closed reports whether a connection was closed by its owner. One of a listener with
// connections of its own, which does not show that, counts as closed.
func closed(conn net.Conn) bool {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// hijackedOpen returns how many taken-over connections are open.
func (c *conns) hijackedOpen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	return len(c.hijacked)
}

// closeHijacked closes the taken-over connections.
func (c *conns) closeHijacked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.hijacked {
		_ = conn.Close()
	}
	clear(c.hijacked)
}

// closeNew closes connections that have sent no request since a time.
func (c *conns) closeNew(since time.Time) {
	c.mu.Lock()
	var list []net.Conn
	for conn, at := range c.fresh {
		if at.Before(since) {
			list = append(list, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range list {
		_ = conn.Close() // its state changes, which locks
	}
}
