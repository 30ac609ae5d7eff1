package grpcserver

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// calls are those under way on one server.
type calls struct {
	mu  sync.Mutex // guards all
	all map[*call]struct{}
	cut error // the cause by which each ends that begins from here on
}

func (c *calls) begin(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[*call]struct{}{}
	}
	c.all[one] = struct{}{}
	if c.cut != nil {
		one.cancel(c.cut)
	}
}

func (c *calls) end(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, one)
}

// cancel ends the ctx of all calls, and of those that begin later.
func (c *calls) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cause
	for one := range c.all {
		one.cancel(cause)
	}
}

// maxNamed is the number of calls that an error names.
const maxNamed = 10

// names lists the calls under way, the oldest first.
func (c *calls) names() string {
	c.mu.Lock()
	list := make([]*call, 0, len(c.all))
	for one := range c.all {
		list = append(list, one)
	}
	c.mu.Unlock()
	if len(list) == 0 {
		return "a connection without a call"
	}
	slices.SortFunc(list, func(a, b *call) int { return a.begun.Compare(b.begun) })
	var named []string
	for _, one := range list[:min(len(list), maxNamed)] {
		named = append(named, fmt.Sprintf("%s of %s (for %v)", clip.ID(one.path()), one.remote(),
			time.Since(one.begun).Round(time.Millisecond)))
	}
	if len(list) > maxNamed {
		named = append(named, "and more")
	}
	noun := "calls"
	if len(list) == 1 {
		noun = "call"
	}
	return fmt.Sprintf("%d %s: %s", len(list), noun, strings.Join(named, ", "))
}
