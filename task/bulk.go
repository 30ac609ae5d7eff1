package task

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Member is one task of those that a [Bulk] handler gets at once.
type Member[A any] struct {
	Job[A]
	ctx context.Context
	err error
}

// Ctx is the ctx of the member's attempt: it ends with its lease, its deadline or a
// drain, and its steps and its sends go by it.
func (m *Member[A]) Ctx() context.Context { return m.ctx }

// Fail sets what became of this member: nil, one failure, or [Cancel], [Snooze] and
// [RetryAfter] as of any handler. It is for the goroutine of the bulk handler.
func (m *Member[A]) Fail(err error) { m.err = err }

// Bulk makes a handler of one that takes up to n tasks at once, for an API or a database
// that does. It is called when n are there, or within after the first of them came.
//
//	chassis.Handle(sys, Index, task.Bulk(10, 50*time.Millisecond,
//		func(members []*task.Member[Page]) error {
//			results, err := search.IndexMany(members[0].Ctx(), pages(members))
//			for i, m := range members {
//				m.Fail(results[i]) // this one's alone
//			}
//			return err // of those without a Fail
//		}))
//
// Each member is a task as any other: it has a worker, a lease, a budget and a ctx of its
// own, so there are to be n workers or more. One that ends while it waits leaves the
// others. The error of the handler is that of each member without one of its own, and a
// panic is one of each. Two calls may overlap. n is at least 1.
func Bulk[A any](n int, within time.Duration, handler func(members []*Member[A]) error) Handler[A] {
	c := &collector[A]{most: max(n, 1), within: within, handler: handler}
	return c.handle
}

// collector forms the batches of one [Bulk] handler.
type collector[A any] struct {
	most    int
	within  time.Duration
	handler func(members []*Member[A]) error

	mu   sync.Mutex
	next *bulk[A] // takes members; nil: none waits
}

// bulk is one batch. Its members wait until it starts; the first of them that sees that
// runs it.
type bulk[A any] struct {
	members []*Member[A] // under the collector's lock until it starts
	timer   *time.Timer
	start   chan struct{} // closed when it starts
	taken   atomic.Bool   // by the member that runs it
	done    chan struct{} // closed when it has run
}

func (c *collector[A]) handle(ctx context.Context, job Job[A]) error {
	m := &Member[A]{Job: job, ctx: ctx}
	b := c.join(m)
	select {
	case <-b.start:
	case <-ctx.Done():
		if c.leave(b, m) {
			return context.Cause(ctx)
		}
	}
	if b.taken.CompareAndSwap(false, true) {
		c.run(b)
	}
	<-b.done
	return m.err
}

// join adds m to the batch that waits, or begins one.
func (c *collector[A]) join(m *Member[A]) *bulk[A] {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.next
	if b == nil {
		b = &bulk[A]{start: make(chan struct{}), done: make(chan struct{})}
		c.next = b
		if c.most > 1 {
			b.timer = time.AfterFunc(c.within, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.begin(b)
			})
		}
	}
	if b.members = append(b.members, m); len(b.members) == c.most {
		c.begin(b)
	}
	return b
}

// begin starts b, unless it has started. The caller holds the lock.
func (c *collector[A]) begin(b *bulk[A]) {
	if c.next != b {
		return
	}
	c.next = nil
	if b.timer != nil {
		b.timer.Stop()
	}
	close(b.start)
}

// leave takes m out of b, and reports whether b had not started.
func (c *collector[A]) leave(b *bulk[A], m *Member[A]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != b {
		return false
	}
	for i, other := range b.members {
		if other == m {
			b.members = append(b.members[:i], b.members[i+1:]...)
			break
		}
	}
	if len(b.members) == 0 {
		b.timer.Stop()
		c.next = nil
	}
	return true
}

// run calls the handler with the members of b.
func (c *collector[A]) run(b *bulk[A]) {
	defer close(b.done)
	err, returned := ErrGoexit, false
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		if err != nil && len(b.members) > 1 {
			err = fmt.Errorf("one of %d tasks at once: %w", len(b.members), err)
		}
		for _, m := range b.members {
			if m.err == nil || !returned {
				m.err = err
			}
		}
	}()
	err = c.handler(b.members)
	returned = true
}
