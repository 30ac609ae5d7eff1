package pools

import (
	"context"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
)

// pulse asks the dispatcher for an answer, one question at a time.
type pulse struct {
	mu    sync.Mutex // guards asked and reply
	asked time.Time  // zero: no question is open
	reply chan struct{}
}

// beat asks, unless a question is open, waits a little for the answer, and
// returns for how long there has been none: 0 after an answer.
func (u *pulse) beat(ctx context.Context, p *Pools, c *dispatcher.Client) time.Duration {
	u.mu.Lock()
	if u.asked.IsZero() {
		u.asked, u.reply = time.Now(), make(chan struct{})
		p.background.run(func(ctx context.Context) { u.ask(ctx, c) })
	}
	asked, reply := u.asked, u.reply
	u.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, quickReply)
	defer cancel()
	select {
	case <-reply:
		return 0
	case <-wait.Done():
		return time.Since(asked)
	}
}

// ask ends with the answer, or with ctx.
func (u *pulse) ask(ctx context.Context, c *dispatcher.Client) {
	_, _ = c.Stats(ctx) // the answer is all that counts
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = time.Time{}
	close(u.reply)
}
