package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/limit"
)

// Limits are the settings of a [Limiter]. The zero value of each field means its default.
type Limits struct {
	// Name is a label of the metrics, for a process with several limits. Default "http".
	Name string
	// Min and Max bound the number of requests that run at once. Default 4 and 1 000.
	Min, Max int
	// Initial is the number to start with. Default 20, within Min and Max.
	Initial int
	// Tolerance is how much longer than alone requests may take before the limit
	// shrinks: 1.3 by default, more than 1 and at most 10. More gives more throughput
	// where latencies vary by themselves, and longer latencies in an overload.
	Tolerance float64
	// Queue is the number of requests that may wait for others to end. Default a
	// quarter of the limit as it is, at least 4; negative: none.
	Queue int
	// Wait is the longest time to wait there. Default half of what requests take, 1 ms
	// to 1 s: who waits for long gets an answer too late, and takes the place of others.
	Wait time.Duration
	// RetryAfter is what a request that is shed is asked to wait, in whole seconds; each
	// gets up to twice of it, so that they do not all come back at once. Default 1 s.
	RetryAfter time.Duration
}

func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if l.Name == "" {
		l.Name = "http"
	}
	if l.Min == 0 {
		l.Min = 4
		if l.Max > 0 {
			l.Min = min(l.Min, l.Max)
		}
	}
	if l.Max == 0 {
		l.Max = max(1000, l.Min)
	}
	if l.Initial == 0 {
		l.Initial = min(max(20, l.Min), l.Max)
	}
	if l.Tolerance == 0 {
		l.Tolerance = 1.3
	}
	if l.RetryAfter == 0 {
		l.RetryAfter = time.Second
	}
	check(l.Min >= 1, "Min is %d: it must be at least 1", l.Min)
	check(l.Max >= l.Min, "Max is %d: it must be at least Min, %d", l.Max, l.Min)
	check(l.Initial >= l.Min && l.Initial <= l.Max, "Initial is %d: it must be between Min and Max, %d and %d",
		l.Initial, l.Min, l.Max)
	check(l.Tolerance > 1 && l.Tolerance <= 10, "Tolerance is %v: it must be more than 1 and at most 10", l.Tolerance)
	check(l.Wait >= 0, "Wait is %v: it must not be negative", l.Wait)
	check(l.RetryAfter > 0, "RetryAfter is %v: it must not be negative", l.RetryAfter)
	if len(errs) > 0 {
		return l, fmt.Errorf("server: limits %q: %w", l.Name, errors.Join(errs...))
	}
	return l, nil
}

// Limiter bounds the number of requests that run at once, by a limit that follows
// their latency. Those over it wait for a short time, the higher priorities in front,
// or are shed. It is safe for several goroutines and starts none.
type Limiter struct {
	limits Limits

	mu       sync.Mutex
	limit    *limit.Adaptive
	inFlight int
	queues   [Operator - Low + 1][]*waiter // by priority, first come first
	waiting  int
	shed     [Operator - Low + 1]uint64
	classes  int
}

// waiter is a request that waits. It is decided under the limiter's lock, once.
type waiter struct {
	decided  chan struct{} // closed when it is
	admitted bool
	done     bool
}

// NewLimiter returns a limiter for [WithLimiter].
func NewLimiter(limits Limits) (*Limiter, error) {
	limits, err := limits.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Limiter{limits: limits,
		limit: limit.New(limits.Initial, limits.Min, limits.Max, limits.Tolerance, time.Now())}, nil
}

// LimiterStats is what a limiter does at a moment.
type LimiterStats struct {
	Limit    int               `json:"limit"`     // requests that may run at once
	InFlight int               `json:"in_flight"` // that run
	Waiting  int               `json:"waiting"`   // for others to end
	Shed     map[string]uint64 `json:"shed"`      // by priority, since the start
	Typical  time.Duration     `json:"typical"`   // what a request took of late; 0: not known
}

// Stats returns what the limiter does now.
func (l *Limiter) Stats() LimiterStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LimiterStats{Limit: l.limit.Now(), InFlight: l.inFlight, Waiting: l.waiting, Typical: l.limit.Typical(),
		Shed: make(map[string]uint64, len(l.shed))}
	for i, n := range l.shed {
		s.Shed[(Low + Priority(i)).String()] = n
	}
	return s
}

// newClass returns the number of a new class of requests.
func (l *Limiter) newClass() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.classes++
	return l.classes - 1
}

// room is the number of requests up to which one of a priority is admitted. Operators
// have a reserve: where all requests hang, none ends and the queue stands still.
func (l *Limiter) room(p Priority) int {
	n := l.limit.Now()
	if p == Operator {
		n += max(2, n/10)
	}
	return n
}

// queueRoom is the number of requests that may wait.
func (l *Limiter) queueRoom() int {
	switch {
	case l.limits.Queue < 0:
		return 0
	case l.limits.Queue > 0:
		return l.limits.Queue
	}
	return max(4, l.limit.Now()/4)
}

// patience is the longest time that a request waits.
func (l *Limiter) patience() time.Duration {
	if l.limits.Wait > 0 {
		return l.limits.Wait
	}
	return min(max(l.limit.Typical()/2, time.Millisecond), time.Second)
}

// acquire admits a request, at once or after a wait, and reports whether it did, and
// whether the request waited. release must follow an admission.
func (l *Limiter) acquire(ctx context.Context, p Priority) (admitted, waited bool) {
	p = min(max(p, Low), Operator)
	l.mu.Lock()
	if l.inFlight < l.room(p) && !l.waits(p) {
		l.inFlight++
		l.mu.Unlock()
		return true, false
	}
	w := l.enqueue(p)
	if w == nil {
		l.shed[p-Low]++
		l.mu.Unlock()
		return false, false
	}
	patience := l.patience()
	l.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.decided:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.done {
		l.remove(w, p)
	}
	if !w.admitted {
		l.shed[p-Low]++
	}
	return w.admitted, true
}

// waits reports whether a request of a priority, or of a higher one, waits.
func (l *Limiter) waits(p Priority) bool {
	if l.waiting == 0 {
		return false
	}
	for q := p; q <= Operator; q++ {
		if len(l.queues[q-Low]) > 0 {
			return true
		}
	}
	return false
}

// enqueue lets a request wait; it takes the place of the last one of the lowest
// priority below its own if there is no other. It returns nil if it cannot.
func (l *Limiter) enqueue(p Priority) *waiter {
	if l.waiting >= l.queueRoom() && !l.evict(p) {
		return nil
	}
	w := &waiter{decided: make(chan struct{})}
	l.queues[p-Low] = append(l.queues[p-Low], w)
	l.waiting++
	return w
}

func (l *Limiter) evict(below Priority) bool {
	for q := Low; q < below; q++ {
		queue := l.queues[q-Low]
		if n := len(queue); n > 0 {
			w := queue[n-1]
			queue[n-1] = nil
			l.queues[q-Low] = queue[:n-1]
			l.decide(w, false)
			return true
		}
	}
	return false
}

// decide ends a wait. The waiter has left its queue.
func (l *Limiter) decide(w *waiter, admitted bool) {
	w.done, w.admitted = true, admitted
	l.waiting--
	close(w.decided)
}

// remove takes a waiter that has waited for too long out of its queue.
func (l *Limiter) remove(w *waiter, p Priority) {
	queue := l.queues[p-Low]
	for i, other := range queue {
		if other == w {
			copy(queue[i:], queue[i+1:])
			queue[len(queue)-1] = nil
			l.queues[p-Low] = queue[:len(queue)-1]
			l.decide(w, false)
			return
		}
	}
}

// release ends an admission. took is how long the request took to answer, or 0 for
// one that says nothing of the load: an error, a stream, a client that has gone.
func (l *Limiter) release(class int, took time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took > 0 {
		l.limit.Observe(class, took, l.inFlight, now)
	}
	l.inFlight--
	for p := Operator; p >= Low; p-- {
		for len(l.queues[p-Low]) > 0 && l.inFlight < l.room(p) {
			queue := l.queues[p-Low]
			w := queue[0]
			copy(queue, queue[1:])
			queue[len(queue)-1] = nil
			l.queues[p-Low] = queue[:len(queue)-1]
			l.inFlight++
			l.decide(w, true)
		}
	}
}
