package addresses

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/task"
)

// complainEvery is the time between two warnings about what this process may not do.
const complainEvery = 15 * time.Minute

// letter returns a letter as a message.
func letter(inbox string, l task.Letter) task.Outgoing {
	body, err := json.Marshal(l)
	if err != nil { // strings and numbers only: cannot be
		panic(err)
	}
	return task.Outgoing{Pool: inbox, Body: string(body), Optional: true}
}

// onPost gathers notices while others are being sent: those of many callers go together.
func (a *addresses) onPost(m *post) {
	m.notices = slices.Clone(m.notices)
	for i := range m.notices {
		var err error
		if m.notices[i], err = Prepared(m.notices[i]); err != nil {
			m.done <- posted{err: err}
			return
		}
	}
	a.keep(m.notices)
	a.posts = append(a.posts, m)
	a.carry()
}

func (a *addresses) carry() {
	if a.carrying || len(a.posts) == 0 {
		return
	}
	a.carrying = true
	own, posts := "", a.posts
	if at := a.at.Load(); at != nil {
		own = at.name
	}
	a.posts = nil
	a.apart(func(ctx context.Context) {
		var notices []task.Notice
		for _, p := range posts {
			notices = append(notices, p.notices...)
		}
		n, err := a.deliver(ctx, own, notices)
		a.post(&carried{of: posts, posted: posted{n, err}})
	})
}

func (a *addresses) onCarried(m *carried) {
	a.carrying = false
	for _, p := range m.of {
		a.counts.posted.Add(int64(len(p.notices)))
		p.done <- m.posted
	}
	a.carry()
}

// deliver sends notices to all inboxes but the own one, and returns how many took them.
func (c *core) deliver(ctx context.Context, own string, notices []task.Notice) (int, error) {
	found, err := c.inboxes(ctx, c.cfg.Prefix)
	delete(found, own)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, ErrNobody
	}
	var outs []task.Outgoing
	for part := range slices.Chunk(notices, mostInLetter) {
		for name := range found {
			outs = append(outs, letter(name, task.Letter{Notices: part}))
		}
	}
	failed := map[string]error{}
	for i, err := range c.cfg.Send(ctx, outs) {
		if err != nil {
			failed[outs[i].Pool] = err
		}
	}
	if len(failed) == len(found) {
		for _, err := range failed {
			return 0, err
		}
	}
	return len(found) - len(failed), nil
}

// complain logs what this process may not do, once in a while.
func (c *core) complain(text string, err error) {
	c.complaints.mu.Lock()
	defer c.complaints.mu.Unlock()
	if now := time.Now(); c.complaints.last.IsZero() || now.Sub(c.complaints.last) >= complainEvery {
		c.complaints.last = now
		c.log.Warn(text, "error", err)
	}
}

type complaints struct {
	mu   sync.Mutex // guards last
	last time.Time
}
