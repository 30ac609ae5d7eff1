package localsqs

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections counts the connections of all listeners, and bounds them in all
// and by peer: a peer may have half of them, but for loopback, which all
// programs of this machine share.
type connections struct {
	limit int

	mu      sync.Mutex
	open    int
	peers   map[string]int // by IP address
	refused int64
}

// add reports whether one more connection of the peer is taken.
func (c *connections) add(peer net.Addr) bool {
	host := hostOf(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.limit || c.peers[host] >= max(1, c.limit/2) && !loopback(host) {
		c.refused++
		return false
	}
	if c.peers == nil {
		c.peers = map[string]int{}
	}
	c.open++
	c.peers[host]++
	return true
}

func (c *connections) remove(peer net.Addr) {
	host := hostOf(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.peers[host]--; c.peers[host] == 0 {
		delete(c.peers, host)
	}
}

func (c *connections) stats() Connections {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Connections{Open: c.open, Refused: c.refused}
}

// follow is an http.Server's ConnState: a connection that was accepted counts
// until it has ended.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		c.remove(conn.RemoteAddr())
	}
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// boundedListener closes the connections that are too many as soon as they come.
type boundedListener struct {
	net.Listener
	connections *connections
}

// acceptPause is how long Accept waits after it has closed a connection, that a
// flood of them costs little.
const acceptPause = time.Millisecond

func (l boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.connections.add(conn.RemoteAddr()) {
			return conn, nil
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		time.Sleep(acceptPause)
	}
}
