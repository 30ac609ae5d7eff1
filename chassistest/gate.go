package chassistest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// gate is the turnstile of a storm. Everything that a process does to the world
// outside of it comes here and waits. The world lets one of them through, waits until
// all goroutines wait again, and lets the next one through: so the seed alone decides
// the order of what happens at one time.
type gate struct {
	mu      sync.Mutex
	waiting []*arrival
	unheard []*arrival    // answers that their process does not hear
	came    chan struct{} // has room for one

	suspended map[*Process]bool
}

// arrival is one thing that a process is about to do, or one answer on its way.
type arrival struct {
	p      *Process
	step   Step
	answer bool   // of the queue, on its way back
	run    *run   // of a handler's steps
	name   string // of an effect or a call
	effect *Effect
	call   *call
	crash  bool       // the process is to die of it
	cut    bool       // of a statement: its connection breaks
	after  bool       // of a statement: it comes again when it is done
	req    *request   // of a request
	note   string     // for the trace
	text   string     // by which it is sorted before it has labels
	at     time.Time  // of its coming
	from   time.Time  // it is let through at this time at the earliest
	known  bool       // the world has seen it
	labels []string   // the tasks that it is about, in their order
	key    uint64     // of its order among those that wait
	strike []*Fault   // what strikes it
	out    chan order // has room for one
}

// order is what the world has decided about an arrival.
type order uint8

const (
	pass order = iota
	dead       // the process is no more: nothing happens
)

// errGone is what a process that has died gets for everything that it tries.
var errGone = errors.New("chassistest: the process has died")

func newGate() *gate { return &gate{came: make(chan struct{}, 1), suspended: map[*Process]bool{}} }

// wait stands at the gate until the world decides, or ctx ends.
func (g *gate) wait(ctx context.Context, a *arrival) (order, error) {
	a.out, a.at = make(chan order, 1), time.Now()
	g.mu.Lock()
	if a.p.dead {
		g.mu.Unlock()
		return dead, nil
	}
	if ctx.Err() != nil {
		g.mu.Unlock()
		return dead, context.Cause(ctx)
	}
	g.waiting = append(g.waiting, a)
	g.mu.Unlock()
	g.knock()
	select {
	case o := <-a.out:
		return o, nil
	case <-ctx.Done():
	}
	if !g.leave(a) {
		return <-a.out, nil
	}
	return dead, context.Cause(ctx)
}

// leave takes a away, if its ctx has ended before the world decided. What a suspended process
// was about to do to the world outside stays: the process learns of the end of its ctx
// when it goes on, and that may be too late.
func (g *gate) leave(a *arrival) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, a)
	if i < 0 || g.suspended[a.p] && (a.step == OnEffect || a.step == OnCall) {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// suspend notes that p is suspended, or is no more.
func (g *gate) suspend(p *Process, yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspended[p] = yes
}

// knock wakes the world.
func (g *gate) knock() {
	select {
	case g.came <- struct{}{}:
	default:
	}
}

// miss notes an answer that its process does not hear: it has died, or has given up. What the
// queue did for it is done.
func (g *gate) miss(a *arrival) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unheard = append(g.unheard, a)
}

// missed takes the answers that no process has heard. The world calls it while all goroutines
// wait.
func (g *gate) missed() []*arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.unheard
	g.unheard = nil
	return list
}

// here returns those that wait. The world calls it while all goroutines wait.
func (g *gate) here() []*arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.waiting)
}

// release lets a through, with o. It reports whether a still waited.
func (g *gate) release(a *arrival, o order) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, a)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	a.out <- o
	return true
}

// bury makes p a dead process: nothing of it comes through any more.
func (g *gate) bury(p *Process) {
	g.mu.Lock()
	p.dead = true
	var rest []*arrival
	for _, a := range g.waiting {
		if a.p == p {
			a.out <- dead
		} else {
			rest = append(rest, a)
		}
	}
	g.waiting = rest
	g.mu.Unlock()
}

// compare is the order of arrivals that does not depend on how goroutines were
// scheduled. Two that it takes for equal do the same.
func (a *arrival) compare(b *arrival) int {
	switch {
	case a.p.number != b.p.number:
		return a.p.number - b.p.number
	case a.step != b.step:
		return strings.Compare(string(a.step), string(b.step))
	case a.answer != b.answer:
		if b.answer {
			return -1
		}
		return 1
	case a.name != b.name:
		return strings.Compare(a.name, b.name)
	case a.text != b.text:
		return strings.Compare(a.text, b.text)
	case a.note != b.note:
		return strings.Compare(a.note, b.note)
	}
	if c := slices.Compare(a.labels, b.labels); c != 0 {
		return c
	}
	if a.run != nil && b.run != nil && a.run.info.Attempt != b.run.info.Attempt {
		return a.run.info.Attempt - b.run.info.Attempt
	}
	return a.at.Compare(b.at)
}

// digest is a hash that is the same in every process and on every machine.
type digest uint64

const digestStart digest = 14695981039346656037 // FNV-1a

func (d digest) text(s string) digest {
	for i := range len(s) {
		d = (d ^ digest(s[i])) * 1099511628211
	}
	return (d ^ 0xff) * 1099511628211
}

func (d digest) number(n uint64) digest {
	for range 8 {
		d = (d ^ digest(n&0xff)) * 1099511628211
		n >>= 8
	}
	return d
}

// mixed spreads the bits of d: neighbours end far apart.
func (d digest) mixed() uint64 {
	x := uint64(d)
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
