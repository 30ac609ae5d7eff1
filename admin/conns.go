package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConns bounds the connections at once, and so what a flood of them can take
// of the process' file descriptors, which its queue and its calls need too.
const maxConns = 512

// conns counts a server's connections. One too many costs the one that has been
// without a request for longest its place, so that a probe still gets through
// where somebody holds many open; only if all are at work it is refused.
type conns struct {
	most int

	mu   sync.Mutex
	open int       // without those that lost their place
	idle list.List // of net.Conn: new, or between two requests; the oldest in front
	at   map[net.Conn]*list.Element
	lost map[net.Conn]bool // closed here, which the server has not told yet
}

func newConns(most int) *conns {
	return &conns{most: most, at: map[net.Conn]*list.Element{}, lost: map[net.Conn]bool{}}
}

// watch is the server's ConnState.
func (c *conns) watch(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[conn]; e != nil {
		c.idle.Remove(e)
		delete(c.at, conn)
	}
	switch state {
	case http.StateNew:
		c.open++
		c.at[conn] = c.idle.PushBack(conn)
		if c.open > c.most {
			c.lose() // perhaps conn itself
		}
	case http.StateIdle:
		if !c.lost[conn] {
			c.at[conn] = c.idle.PushBack(conn)
		}
	case http.StateHijacked, http.StateClosed:
		if c.lost[conn] {
			delete(c.lost, conn)
			return
		}
		c.open--
	}
}

// lose closes the one that has been without a request for longest; there is one.
func (c *conns) lose() {
	oldest := c.idle.Remove(c.idle.Front()).(net.Conn)
	delete(c.at, oldest)
	c.lost[oldest] = true
	c.open--
	_ = oldest.Close() // the server takes notice
}

// end closes all that are without a request, and those that still come. The
// server's Shutdown would wait for one that never asked, such as a browser opens
// to have it at hand, and tell of a request that had not ended.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = 0
	for c.idle.Len() > 0 {
		c.lose()
	}
}
