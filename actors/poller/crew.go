package poller

import (
	"context"
	"time"
)

// crew runs functions in goroutines that it keeps for a while: a call of the
// SDK goes so deep that a fresh goroutine spends a tenth of it on growing its
// stack. It has as many as there are functions running, and none a little
// after the last has ended. It is safe for use from several goroutines.
type crew struct {
	ctx  context.Context // its end sends idle goroutines home
	idle chan func()
}

// idleTime is how long a goroutine of a crew waits for more to do.
const idleTime = time.Second

func newCrew(ctx context.Context) *crew { return &crew{ctx: ctx, idle: make(chan func())} }

// do runs f, which has an end of its own. It never waits.
func (c *crew) do(f func()) {
	select {
	case c.idle <- f:
	default:
		go c.work(f)
	}
}

func (c *crew) work(f func()) {
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	for {
		f()
		timer.Reset(idleTime)
		select {
		case f = <-c.idle:
		case <-timer.C:
			return
		case <-c.ctx.Done():
			return
		}
	}
}
