// Package limit finds how many calls a service does best at once, from how long they take.
//
// [Adaptive] is pure: its owner gives it each latency with its time, and locks it. The
// server's limiter and the breaker's both follow it.
package limit

import (
	"math"
	"time"
)

// Adaptive is a limit on concurrency. It is pure: it has no clock, no lock and no goroutine.
//
// The limit follows latency, as TCP Vegas does for packets and Netflix'
// concurrency-limits for requests: while requests take as long as they do alone there
// is room, and when they take longer they wait for each other. What differs here:
//
//   - Latency is measured as a slowdown: what a request took, over what requests of
//     its class (its route) take without others. A change of the mix of fast and slow
//     routes is then no change of latency.
//   - What a class takes alone is learned only where requests do not wait for each
//     other: at half the limit or less, at the lowest limit, and in a probe. In an
//     overload that lasts, an average of latencies drifts up and takes the limit along.
//   - A probe halves the limit for a window. If that makes requests faster in
//     proportion, they were waiting for each other and the limit stays down; if not,
//     the latency is what the work takes, however that has changed.
//
// A service that says itself that it is too busy says more than a latency: each window
// with refusals takes their share off the limit.
type Adaptive struct {
	min, max  float64
	tolerance float64 // of the slowdown
	value     float64
	phase     phase
	classes   []class
	touched   []int // classes with samples in this window

	begun  time.Time     // of the window
	count  int           // samples in it
	cut    bool          // the service has refused calls before
	calm   int           // windows since then, without a sign of waiting
	drops  int           // calls in it that the service refused or left without an answer
	top    int           // most requests in flight in it
	alone  time.Time     // last window in which requests did not wait for each other
	before float64       // limit before the probe
	slow   float64       // slowdown before the step of the probe
	high   float64       // slowdown before the probe
	took   time.Duration // mean of the last window; 0: none yet
	length time.Duration // of the last window
}

// phase is what the limit is doing.
type phase int8

const (
	starting phase = iota // doubling, until it is felt
	steady
	probing
)

// class is a kind of requests that take about the same time.
type class struct {
	base float64 // nanoseconds that a request takes alone; 0: not known
	sum  float64 // of this window
	n    int
}

// Constants of the limit. The times are those of requests of 1 ms to some seconds; a
// window lasts longer where requests do.
const (
	shortestWindow = 100 * time.Millisecond
	longestWindow  = 5 * time.Second // past it a window needs one sample only
	windowSamples  = 10
	probeEvery     = 20 * time.Second
	probeWindows   = 60   // windows between two probes at least: a probe takes some
	startTolerance = 1.2  // doubling ends at a slowdown of this
	steepest       = 0.5  // the least that a window leaves of the limit
	smoothing      = 0.3  // share of a window in the limit
	learning       = 0.3  // share of a window in what a class takes alone
	inProportion   = 0.8  // a step of a probe that makes requests this much faster was worth it
	droppedShare   = 0.1  // of the calls of a window, refused by the service, from which they count
	calmWindows    = 10   // after refusals, until the limit grows as usual
	slowest        = 0.1  // haste after refusals
	fastest        = 4.0  // haste after a long time without
	fullWeight     = 10.0 // samples for a whole share
)

// New returns a limit between lowest and highest, from 1, that begins with initial. It
// shrinks when requests take longer than alone by more than tolerance, which is above 1.
func New(initial, lowest, highest int, tolerance float64, now time.Time) *Adaptive {
	return &Adaptive{min: float64(lowest), max: float64(highest), tolerance: tolerance,
		value: float64(initial), begun: now, alone: now}
}

// Now returns the limit as a whole number.
func (l *Adaptive) Now() int { return int(l.value) }

// Observe takes a request of a class that began before and ended now, among inFlight
// others and itself. Requests that began before the window say what was before.
func (l *Adaptive) Observe(index int, took time.Duration, inFlight int, now time.Time) {
	l.top = max(l.top, inFlight)
	if now.Sub(l.begun) < took {
		return
	}
	for len(l.classes) <= index {
		l.classes = append(l.classes, class{})
	}
	c := &l.classes[index]
	if c.n == 0 {
		l.touched = append(l.touched, index)
	}
	c.n++
	c.sum += float64(max(took, 1))
	l.count++
	l.elapse(now)
}

// Drop takes a call that ended now because the service was too busy for it: it said that,
// or it left the call without an answer. Calls that began before the window met an earlier
// limit.
func (l *Adaptive) Drop(took time.Duration, inFlight int, now time.Time) {
	l.top = max(l.top, inFlight)
	if now.Sub(l.begun) < took {
		return
	}
	l.drops++
	l.count++
	l.elapse(now)
}

// Typical returns what a request took in the last window; 0 if that is not known.
func (l *Adaptive) Typical() time.Duration { return l.took }

// Samples returns the number of samples in this window.
func (l *Adaptive) Samples() int { return l.count }

// elapse ends the window if it is over. One with refusals ends once as many calls have
// ended as the limit has: what is sent until a late end is refused too, and the share of an
// early one is that of a moment.
func (l *Adaptive) elapse(now time.Time) {
	age := now.Sub(l.begun)
	switch {
	case l.dropping() && age < longestWindow:
		if l.count >= max(windowSamples, l.Now()) && age >= min(l.took, shortestWindow) {
			l.step(now)
		}
	case age >= shortestWindow && l.count >= windowSamples || age >= longestWindow:
		l.step(now)
	}
}

// dropping reports whether the service refuses a share of the calls that counts: single
// errors have other reasons.
func (l *Adaptive) dropping() bool {
	return float64(l.drops) >= droppedShare*float64(l.count) && l.drops > 1
}

// step ends the window and sets the limit for the next.
func (l *Adaptive) step(now time.Time) {
	if l.dropping() {
		l.set(l.value * max(steepest, 1-float64(l.drops)/float64(l.count)))
		l.phase, l.cut, l.calm = steady, true, 0
		l.next(now)
		return
	}
	slowdown := l.slowdown()
	full := l.value < l.min+1
	idle := float64(l.top) <= l.value/2 || full
	used := float64(l.top) > l.value/2
	switch {
	case l.phase == probing:
		l.probe(slowdown, now)
	case idle:
		l.learn(learning, true)
		l.alone = now
	default:
		l.learn(learning, false)
	}
	switch {
	case l.phase == probing: // probe has set the limit
	case l.phase == starting && used && slowdown <= startTolerance:
		l.set(2 * l.value)
	case l.phase == starting && used:
		l.set(l.value / 2)
		l.phase = steady
	case !used: // nothing is learned of a limit that is not reached
	case now.Sub(l.alone) >= max(probeEvery, probeWindows*l.length):
		l.phase = probing
		l.before, l.high, l.slow = l.value, slowdown, slowdown
		l.set(l.value / 2)
	default:
		gradient := min(max(l.tolerance/slowdown, steepest), 1)
		target := l.value*gradient + max(1, math.Sqrt(l.value)/2)*l.haste(slowdown)
		l.set(l.value + smoothing*(target-l.value))
	}
	l.next(now)
}

// haste returns by how much faster than usual the limit grows. After refusals it is slow
// at first, since the service has shown where its end is; after a time without any sign of
// it that end is forgotten, and looked for in larger steps.
func (l *Adaptive) haste(slowdown float64) float64 {
	if !l.cut {
		return 1
	}
	if l.calm++; slowdown > startTolerance {
		l.calm = min(l.calm, calmWindows)
	}
	return min(max(math.Pow(float64(l.calm)/calmWindows, 2), slowest), fastest)
}

// probe ends a step of a probe: it goes on while half of the limit makes requests
// faster in proportion. At the end the latency is that of requests alone, and the
// limit is the number at which they begin to wait for each other, and some more.
func (l *Adaptive) probe(slowdown float64, now time.Time) {
	if slowdown < inProportion*l.slow && l.value > l.min {
		l.slow = slowdown
		l.set(l.value / 2)
		return
	}
	lowest := min(slowdown, l.slow)
	l.learn(1, true)
	l.set(min(l.before, l.before/(l.high/lowest)*l.tolerance))
	l.phase = steady
	l.alone = now
}

// slowdown is that of the requests of the window; 1 where no class is known yet.
func (l *Adaptive) slowdown() float64 {
	sum, n := 0.0, 0
	for _, i := range l.touched {
		if c := &l.classes[i]; c.base > 0 {
			sum += c.sum / c.base
			n += c.n
		}
	}
	if n == 0 {
		return 1
	}
	return sum / float64(n)
}

// learn moves what the classes take alone towards the window's mean by a share, less
// where there are few samples. Outside of an idle window it moves down only.
func (l *Adaptive) learn(share float64, up bool) {
	for _, i := range l.touched {
		c := &l.classes[i]
		mean := c.sum / float64(c.n)
		switch {
		case c.base == 0:
			c.base = mean
		case up || mean < c.base:
			c.base += share * min(1, float64(c.n)/fullWeight) * (mean - c.base)
		}
	}
}

// next begins a window.
func (l *Adaptive) next(now time.Time) {
	sum := 0.0
	for _, i := range l.touched {
		c := &l.classes[i]
		sum += c.sum
		c.sum, c.n = 0, 0
	}
	if n := l.count - l.drops; n > 0 {
		l.took = time.Duration(sum / float64(n))
	}
	l.touched = l.touched[:0]
	l.length = now.Sub(l.begun)
	l.count, l.drops, l.top, l.begun = 0, 0, 0, now
}

func (l *Adaptive) set(value float64) { l.value = min(max(value, l.min), l.max) }
