package limit

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// model is a service with some workers and a queue in front of them, in the time of a
// simulation: requests come at random, and those over the limit are shed.
type model struct {
	workers int
	work    func(t float64, class int) float64 // seconds that a request of a class takes alone
	rate    func(t float64) float64            // requests a second
	mix     func(t float64) int                // class of a request
}

// figures are what the last part of a simulation saw.
type figures struct {
	limit, low, high float64
	done, shed       int
	mean             float64 // seconds in the service
}

// finish is an end of work.
type finish struct {
	at, begun float64
	class     int
}

type finishes []finish

func (f finishes) Len() int           { return len(f) }
func (f finishes) Less(i, j int) bool { return f[i].at < f[j].at }
func (f finishes) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *finishes) Push(x any)        { *f = append(*f, x.(finish)) }
func (f *finishes) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// run simulates seconds, and counts from a time on.
func (m model) run(l *Adaptive, seed uint64, seconds, from float64) figures {
	random := rand.New(rand.NewPCG(seed, 1))
	zero := time.Unix(0, 0)
	at := func(t float64) time.Time { return zero.Add(time.Duration(t * 1e9)) }
	var (
		out     = figures{low: 1e9}
		working finishes
		waiting []finish
		inside  int
		t       float64
	)
	arrival := random.ExpFloat64() / m.rate(0)
	for t < seconds {
		if len(working) == 0 || arrival < working[0].at {
			t = arrival
			arrival = t + random.ExpFloat64()/m.rate(t)
			if inside >= l.Now() {
				if t >= from {
					out.shed++
				}
				continue
			}
			inside++
			f := finish{begun: t, class: m.mix(t)}
			if len(working) < m.workers {
				f.at = t + m.work(t, f.class)
				heap.Push(&working, f)
			} else {
				waiting = append(waiting, f)
			}
			continue
		}
		f := heap.Pop(&working).(finish)
		t = f.at
		l.Observe(f.class, time.Duration((t-f.begun)*1e9), inside, at(t))
		inside--
		if len(waiting) > 0 {
			w := waiting[0]
			waiting = waiting[1:]
			w.at = t + m.work(t, w.class)
			heap.Push(&working, w)
		}
		if t >= from {
			out.done++
			out.mean += t - f.begun
			out.low, out.high = min(out.low, l.value), max(out.high, l.value)
		}
	}
	out.limit = l.value
	out.mean /= float64(max(out.done, 1))
	return out
}

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

func one(float64) int { return 0 }

// In an overload that lasts, the service does nearly all it can, and its requests take
// less than twice what they take alone: whatever the limit starts with, and whatever
// the work takes.
func TestLimitInAnOverload(t *testing.T) {
	for _, workers := range []int{2, 16, 64} {
		for _, work := range []float64{0.01, 0.3} {
			for _, initial := range []int{4, 200} {
				for _, jitter := range []float64{0, 0.5} {
					name := fmt.Sprintf("%d workers, %v s, from %d, jitter %v", workers, work, initial, jitter)
					random := rand.New(rand.NewPCG(7, 7))
					capacity := float64(workers) / work
					m := model{workers: workers, rate: constant(3 * capacity), mix: one,
						work: func(float64, int) float64 { return work * (1 + jitter*(2*random.Float64()-1)) }}
					l := New(initial, 1, 1000, 1.3, time.Unix(0, 0))
					length := max(60, 3000*work)
					got := m.run(l, 1, length, length/2)
					done := float64(got.done) / (length / 2) / capacity
					t.Logf("%s: %.0f %% of the capacity, %.2f times the work's time, limit %.1f (%.1f to %.1f)",
						name, 100*done, got.mean/work, got.limit, got.low, got.high)
					if done < 0.9 || got.mean > 2*work {
						t.Errorf("%s: %.0f %% of the capacity is done, in %.1f times the work's time", name, 100*done, got.mean/work)
					}
				}
			}
		}
	}
}

// Changes that have hurt others: the limit must follow them in some seconds.
func TestLimitFollowsChanges(t *testing.T) {
	const workers, work = 16, 0.01
	capacity := workers / work
	step := func(before, after, t, at float64) float64 {
		if t < at {
			return before
		}
		return after
	}
	for name, c := range map[string]struct {
		m         model
		done      float64 // least share of the capacity, or of what is asked for
		of        float64 // requests a second
		slow      float64 // most seconds in the service
		shed      int     // most
		low, high float64 // of the limit at the end
	}{
		// A limit that had shrunk in a peak stayed at one for good.
		"a peak that is over": {m: model{rate: func(t float64) float64 { return step(3*capacity, capacity/4, t, 20) },
			work: func(float64, int) float64 { return work }, mix: one}, done: 0.95, of: capacity / 4, slow: 1.2 * work, shed: 20, low: 5, high: 1000},
		// A lowest latency that is kept for good makes the limit collapse.
		"work that takes longer from now on": {m: model{rate: constant(3 * capacity),
			work: func(t float64, _ int) float64 { return step(work, 4*work, t, 20) }, mix: one}, done: 0.9, of: capacity / 4, slow: 8 * work, shed: 1e9, low: 8, high: 40},
		"work that takes less from now on": {m: model{rate: constant(3 * capacity),
			work: func(t float64, _ int) float64 { return step(4*work, work, t, 20) }, mix: one}, done: 0.85, of: capacity, slow: 2 * work, shed: 1e9, low: 8, high: 40},
		// With one latency for all, slow requests among fast ones look like an overload.
		"a slow route among fast ones": {m: model{rate: constant(capacity / 2), work: func(t float64, class int) float64 {
			if class == 1 {
				return 40 * work / 4
			}
			return work / 4
		}, mix: func(t float64) int {
			if t > 20 && int(t*1e5)%10 == 0 {
				return 1
			}
			return 0
		}}, done: 0.95, of: capacity / 2, slow: 2 * work, shed: 20, low: 5, high: 1000},
		// A restart in the middle of an outage learns its latency while it is overloaded.
		"a burst that begins at once": {m: model{rate: constant(20 * capacity), work: func(float64, int) float64 { return work }, mix: one},
			done: 0.9, of: capacity, slow: 2 * work, shed: 1e9, low: 12, high: 40},
	} {
		t.Run(name, func(t *testing.T) {
			c.m.workers = workers
			l := New(20, 1, 1000, 1.3, time.Unix(0, 0))
			got := c.m.run(l, 3, 120, 60)
			done := float64(got.done) / 60 / c.of
			t.Logf("%.1f %% done, %.2f times the work's time, %d shed, limit %.1f (%.1f to %.1f)", 100*done, got.mean/work, got.shed, got.limit, got.low, got.high)
			if done < c.done || got.mean > c.slow || got.shed > c.shed || got.limit < c.low || got.limit > c.high {
				t.Errorf("want at least %v, at most %v s, at most %d shed, a limit of %v to %v", c.done, c.slow, c.shed, c.low, c.high)
			}
		})
	}
}

// A service that says that it is busy, quickly and with good latencies for the rest: the
// limit comes down to what it takes within a few times of a request, and it grows again.
func TestLimitFollowsRefusals(t *testing.T) {
	now := time.Unix(0, 0)
	l := New(40, 1, 1000, 1.3, now)
	second := func(capacity int) {
		for range 20 { // turns of 50 ms, with all slots in use; what is refused is so at once
			n := l.Now()
			for range max(0, n-capacity) {
				l.Drop(time.Millisecond, n, now.Add(time.Millisecond))
			}
			now = now.Add(50 * time.Millisecond)
			for range min(n, capacity) {
				l.Observe(0, 50*time.Millisecond, n, now)
			}
		}
	}
	second(60)
	second(10)
	if v := l.Now(); v < 7 || v > 13 {
		t.Errorf("a limit of %d one second after the service takes 10", v)
	}
	for range 20 {
		second(40)
	}
	if v := l.Now(); v < 36 || v > 46 {
		t.Errorf("a limit of %d 20 seconds after the service takes 40 again", v)
	}
	before := l.Now()
	for range 50 { // one in fifty fails for a reason of its own
		now = now.Add(50 * time.Millisecond)
		l.Drop(0, before, now)
		for range 49 {
			l.Observe(0, 50*time.Millisecond, before, now)
		}
	}
	if v := l.Now(); v < before {
		t.Errorf("single errors take the limit from %d to %d", before, v)
	}
}
