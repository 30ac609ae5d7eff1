package grpcserver

import (
	"net"
	"sync"
	"time"
)

// conns are the connections of a server. gRPC sends no GOAWAY while any of them is in its
// handshake, and a stranger can stay there by sending nothing.
type conns struct {
	mu    sync.Mutex // guards fresh
	fresh map[*conn]struct{}
}

// listener is that of a server, with connections that are watched.
type listener struct {
	net.Listener
	conns *conns
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(c), nil
}

func (c *conns) add(below net.Conn) *conn {
	one := &conn{Conn: below, all: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		c.fresh = map[*conn]struct{}{}
	}
	c.fresh[one] = struct{}{}
	return one
}

func (c *conns) known(one *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fresh, one)
}

// closeFresh closes the connections in their handshake.
func (c *conns) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.fresh {
		_ = one.Conn.Close() // gRPC gets an error of its read
	}
}

// conn is one connection.
type conn struct {
	net.Conn
	all *conns
}

// SetDeadline implements net.Conn. gRPC clears the deadline at the end of the handshake.
func (c *conn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.all.known(c)
	}
	return c.Conn.SetDeadline(t)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.all.known(c)
	return c.Conn.Close()
}
