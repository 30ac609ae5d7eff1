package admin

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// Bounds of the connections. They bound the memory and the file descriptors that
// a flood can take from the queue and the calls of the process.
const (
	maxConns  = 512 // at once
	maxPeer   = 128 // of one address that are not served
	maxServed = 256 // requests of known clients that are served at once
	maxProbes = 64  // probes beyond those; their connections cannot lose their place
)

// conns counts a server's connections. When there is one too many, another loses
// its place: the one that was not served for longest, of the address with most
// connections. A connection is served from the time when its client is known and
// its body is read until its answer is made. All others can lose their place at
// any time, so a flood of requests that never end cannot keep a probe out.
type conns struct {
	most, perPeer int

	mu    sync.Mutex
	open  int // without those that lost their place
	held  int // that are served
	at    map[net.Conn]*place
	peers map[string]*peer
	lost  map[net.Conn]bool // closed here; the server has not said so yet
}

// place is one connection.
type place struct {
	conn net.Conn
	of   *peer
	wait *list.Element // in of.waiting; nil while it is served
}

// peer is one address.
type peer struct {
	address string
	open    int
	waiting list.List // of *place; the one that waits for longest in front
}

func newConns(most, perPeer int) *conns {
	return &conns{
		most: most, perPeer: perPeer,
		at: map[net.Conn]*place{}, peers: map[string]*peer{}, lost: map[net.Conn]bool{},
	}
}

// watch is the server's ConnState.
func (c *conns) watch(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateIdle:
		if p := c.at[conn]; p != nil && p.wait != nil {
			p.of.waiting.MoveToBack(p.wait)
			if c.most == 0 {
				c.lose(p)
			}
		}
	case http.StateHijacked, http.StateClosed:
		if c.lost[conn] {
			delete(c.lost, conn)
			return
		}
		if p := c.at[conn]; p != nil {
			c.drop(p)
		}
	}
}

func (c *conns) add(conn net.Conn) {
	address, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		address = conn.RemoteAddr().String()
	}
	of := c.peers[address]
	if of == nil {
		of = &peer{address: address}
		c.peers[address] = of
	}
	p := &place{conn: conn, of: of}
	p.wait = of.waiting.PushBack(p)
	of.open++
	c.open++
	c.at[conn] = p
	switch {
	case of.waiting.Len() > c.perPeer:
		c.lose(of.waiting.Front().Value.(*place)) // perhaps p itself
	case c.open > c.most:
		c.lose(c.busiest().waiting.Front().Value.(*place))
	}
}

// busiest returns the peer with most connections that are not served; there is one.
func (c *conns) busiest() *peer {
	var most *peer
	for _, p := range c.peers {
		if most == nil || p.waiting.Len() > most.waiting.Len() {
			most = p
		}
	}
	return most
}

// drop forgets a connection.
func (c *conns) drop(p *place) {
	delete(c.at, p.conn)
	if p.wait != nil {
		p.of.waiting.Remove(p.wait)
	} else {
		c.held--
	}
	c.open--
	if p.of.open--; p.of.open == 0 {
		delete(c.peers, p.of.address)
	}
}

// lose closes a connection that is not served.
func (c *conns) lose(p *place) {
	c.drop(p)
	c.lost[p.conn] = true
	_ = p.conn.Close() // the server takes notice
}

type connKey struct{}

// withConn is the server's ConnContext.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// hold keeps the place of a request's connection until release is called, once or
// more often. It returns false if that many connections are held already. A
// request without a connection, as in a test, is always served.
func (c *conns) hold(ctx context.Context, most int) (release func(), ok bool) {
	conn, _ := ctx.Value(connKey{}).(net.Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.at[conn]
	if p == nil || p.wait == nil {
		return func() {}, true
	}
	if c.held >= most {
		return nil, false
	}
	p.of.waiting.Remove(p.wait)
	p.wait = nil
	c.held++
	return sync.OnceFunc(func() { c.release(p) }), true
}

func (c *conns) release(p *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[p.conn] != p {
		return // it has ended
	}
	c.held--
	p.wait = p.of.waiting.PushBack(p)
}

// end closes all connections that are not served, and those that still come. The
// server's Shutdown would wait for one that never asked, like the spare ones of a
// browser, and report a request that had not ended.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most, c.perPeer = 0, 0
	for _, of := range c.peers {
		for of.waiting.Len() > 0 {
			c.lose(of.waiting.Front().Value.(*place))
		}
	}
}
