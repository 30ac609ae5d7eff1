package dispatcher

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// crew is goroutines kept for the next handler. A fresh goroutine grows its
// stack two or three times on the way into an ordinary handler, which took
// 40 % of the time of a small task; one that is used again has grown already.
type crew struct {
	work chan job
	quit chan struct{}
	once sync.Once
	idle atomic.Int32
	most int32 // idle ones that are kept
}

// job is either a function or the beginning of an attempt.
type job struct {
	f     func()
	a     *attempt
	child *actor.PID // of a function task
}

func (j job) do() {
	switch {
	case j.a == nil:
		j.f()
	case j.a.props != nil:
		j.a.hatch()
	default:
		j.a.run(j.child)
	}
}

func newCrew(most int) *crew {
	return &crew{work: make(chan job), quit: make(chan struct{}), most: int32(most)}
}

// run does j in a goroutine; it never waits.
func (c *crew) run(j job) {
	select {
	case c.work <- j:
	default:
		go c.member(j)
	}
}

// member does j and what comes after. It ends if enough others are idle, at
// close, or when a job ends its goroutine.
func (c *crew) member(j job) {
	for {
		j.do()
		if c.idle.Add(1) > c.most {
			c.idle.Add(-1)
			return
		}
		select {
		case j = <-c.work:
			c.idle.Add(-1)
		case <-c.quit:
			return
		}
	}
}

// close ends the idle ones. A closed crew still runs jobs, in new goroutines.
func (c *crew) close() {
	c.once.Do(func() { close(c.quit) })
}

// Schedule and Throughput make the crew the dispatcher, in Proto.Actor's sense,
// of our actor and those of function tasks: a mailbox that has been empty goes
// on in a goroutine too.
func (c *crew) Schedule(f func()) { c.run(job{f: f}) }

// Throughput is how many messages an actor handles before others get a turn.
func (c *crew) Throughput() int { return 300 }
