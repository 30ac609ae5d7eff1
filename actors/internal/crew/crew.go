// Package crew keeps goroutines for the next job. A fresh goroutine grows its
// stack two or three times on the way into a handler or a call of the AWS SDK:
// a tenth of a request, and 40 % of a small task. One that is used again has
// grown already.
//
//	c := crew.New[crew.Func](32)
//	c.Run(func() { ... }) // never waits
//	...
//	c.Close()
//
// A [Crew] is safe for use from several goroutines. It owns its idle goroutines
// and nothing else: each job ends by itself, and [Crew.Close] ends the idle ones.
// Its test, and goleak in the tests of its users, look for a goroutine that stays.
package crew

import (
	"sync"
	"sync/atomic"
)

// Job is the work of one goroutine. A type of its own, in place of a closure,
// saves an allocation for each job.
type Job interface{ Do() }

// Func is a function as a [Job].
type Func func()

// Do calls f.
func (f Func) Do() { f() }

// Crew runs jobs in goroutines, and keeps some of those that have nothing to do.
type Crew[J Job] struct {
	work chan J
	quit chan struct{}
	once sync.Once
	idle atomic.Int32
	most int32 // idle goroutines that are kept
}

// New returns a crew that keeps at most that many idle goroutines. It starts none.
func New[J Job](most int) *Crew[J] {
	return &Crew[J]{work: make(chan J), quit: make(chan struct{}), most: int32(most)}
}

// Run does j in a goroutine. It never waits.
func (c *Crew[J]) Run(j J) {
	select {
	case c.work <- j:
	default:
		go c.member(j)
	}
}

// member does j and the jobs after it. It ends when enough others are idle,
// after Close, or when a job ends its goroutine.
func (c *Crew[J]) member(j J) {
	for {
		j.Do()
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

// Close ends the idle goroutines. A closed crew still runs jobs, in goroutines
// that end with their job.
func (c *Crew[J]) Close() {
	c.once.Do(func() { close(c.quit) })
}
