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
// Jobs stand in a queue, and a goroutine that ends one takes the next. To wake a
// goroutine costs more than a small task, so one at a time is on its way to the
// queue: it wakes another if it leaves a job behind. Short jobs are thus done by the
// goroutines that are awake, and a job that waits keeps no other from its begin.
//
// A [Crew] is safe for use from several goroutines. It owns its idle goroutines
// and nothing else: each job ends by itself, and [Crew.Close] ends the idle ones.
// Its test, and goleak in the tests of its users, look for a goroutine that stays.
package crew

import "sync"

// Job is the work of one goroutine. A type of its own, in place of a closure,
// saves an allocation for each job.
type Job interface{ Do() }

// Func is a function as a [Job].
type Func func()

// Do calls f.
func (f Func) Do() { f() }

// Crew runs jobs in goroutines, and keeps some of those that have nothing to do.
type Crew[J Job] struct {
	most int // idle goroutines that are kept

	mu     sync.Mutex // guards what follows
	jobs   fifo[J]
	idle   []chan struct{} // one of each idle goroutine; the last one is woken first
	coming bool            // a goroutine is on its way to the queue
	closed bool
}

// New returns a crew that keeps at most that many idle goroutines. It starts none.
func New[J Job](most int) *Crew[J] { return &Crew[J]{most: most} }

// Run does j in a goroutine. It never waits.
func (c *Crew[J]) Run(j J) {
	c.mu.Lock()
	c.jobs.push(j)
	c.summon()
	c.mu.Unlock()
}

// summon brings a goroutine to the queue, unless one is on its way. The lock is held.
func (c *Crew[J]) summon() {
	if c.coming {
		return
	}
	c.coming = true
	last := len(c.idle) - 1
	if last < 0 {
		go c.member()
		return
	}
	wake := c.idle[last]
	c.idle[last] = nil
	c.idle = c.idle[:last]
	wake <- struct{}{} // it has room for one
}

// member does jobs. It ends when the queue is empty and enough others are idle, after
// Close, or when a job ends its goroutine.
func (c *Crew[J]) member() {
	wake := make(chan struct{}, 1)
	c.mu.Lock()
	c.coming = false
	for {
		j, ok := c.jobs.pop()
		if !ok {
			if c.closed || len(c.idle) >= c.most {
				c.mu.Unlock()
				return
			}
			c.idle = append(c.idle, wake)
			c.mu.Unlock()
			<-wake
			c.mu.Lock()
			c.coming = false
			continue
		}
		if c.jobs.len() > 0 {
			c.summon()
		}
		c.mu.Unlock()
		j.Do()
		c.mu.Lock()
	}
}

// Close ends the idle goroutines. A closed crew still runs jobs, in goroutines
// that end with the last job.
func (c *Crew[J]) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, wake := range c.idle {
		wake <- struct{}{}
	}
	c.idle = nil
}

// fifo is a queue in a ring. The zero value is empty.
type fifo[J any] struct {
	ring []J // its length is a power of two
	at   int // of the first
	n    int
}

func (f *fifo[J]) len() int { return f.n }

func (f *fifo[J]) push(j J) {
	if f.n == len(f.ring) {
		ring := make([]J, max(2*f.n, 8))
		copy(ring[copy(ring, f.ring[f.at:]):], f.ring[:f.at])
		f.ring, f.at = ring, 0
	}
	f.ring[(f.at+f.n)&(len(f.ring)-1)] = j
	f.n++
}

func (f *fifo[J]) pop() (j J, ok bool) {
	if f.n == 0 {
		return j, false
	}
	var none J
	j, f.ring[f.at] = f.ring[f.at], none
	f.at = (f.at + 1) & (len(f.ring) - 1)
	f.n--
	return j, true
}
