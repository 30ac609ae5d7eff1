package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sambatech/chassis/fleet/internal/share"
)

// Rate is a limit that all members of a fleet share: together they admit at most so
// many calls a second. Each takes its share by what the others want, as far as it knows,
// so a call never waits for the network. See [Fleet.Rate] for its bounds.
type Rate struct {
	name    string
	limit   float64
	limiter *rate.Limiter
	asked   atomic.Int64

	// Guarded by rates.mu.
	last   int64
	demand float64
}

// Allow reports whether a call may be made now.
func (r *Rate) Allow() bool {
	r.asked.Add(1)
	return r.limiter.Allow()
}

// Wait waits until a call may be made, or ctx ends.
func (r *Rate) Wait(ctx context.Context) error {
	r.asked.Add(1)
	if err := r.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("fleet: wait for the rate %q: %w", r.name, err)
	}
	return nil
}

// Share is the calls a second that this member admits at present.
func (r *Rate) Share() float64 { return float64(r.limiter.Limit()) }

// burstTime is for how long a share may be saved up.
const burstTime = 0.1

// peakMinutes is for how long a member that has gone keeps its part: it may be beyond a
// partition, and work.
const peakMinutes = 10

// rates are the shared rates of a member.
type rates struct {
	mu      sync.Mutex // guards all below
	each    map[string]*Rate
	demands map[string]*share.Demand // of the other members
	alive   map[string]bool
	peaks   [peakMinutes]int // most members of each of the last minutes
	minute  int
	version uint64
	size    int // of the fleet, as was expected at the start
}

func newRates(size int) *rates {
	return &rates{each: map[string]*Rate{}, demands: map[string]*share.Demand{},
		alive: map[string]bool{}, size: size}
}

// Rate returns the shared limit of a name: calls a second, over the whole fleet. A
// second call with the name returns the first one's. All members must give the name the
// same limit, above 0. A fleet has at most 16 rates, their names at most 40 bytes.
//
// Members say what they want four times a second, so the sum follows a change of
// demand within about a second. Members that have gone keep their part for ten minutes,
// for they may work beyond a partition. A process that has just started, and one that
// was alone from the start, begins with the share of one in the expected number of
// members, see [WithSize].
func (f *Fleet) Rate(name string, limit float64) (*Rate, error) {
	return f.rates.add(name, limit)
}

func (r *rates) add(name string, limit float64) (*Rate, error) {
	if !(limit > 0 && limit <= 1e9) || name == "" || len(name) > share.MaxName {
		return nil, fmt.Errorf("fleet: the rate %.40q of %v calls a second: want a name of at most %d bytes, and "+
			"a number above 0", name, limit, share.MaxName)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.each[name]; old != nil {
		if old.limit != limit {
			return nil, fmt.Errorf("fleet: the rate %q has the limit %v already, and %v is another", name, old.limit,
				limit)
		}
		return old, nil
	}
	if len(r.each) >= share.MaxRates {
		return nil, fmt.Errorf("fleet: the rate %q is one too many: there are at most %d", name, share.MaxRates)
	}
	first := limit / float64(max(1, r.size, len(r.alive)))
	n := &Rate{name: name, limit: limit, limiter: rate.NewLimiter(rate.Limit(first), burst(first))}
	r.each[name] = n
	return n, nil
}

func burst(share float64) int { return max(1, int(share*burstTime)) }

func (r *rates) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.each) > 0
}

// hear takes in what another member wants.
func (r *rates) hear(d *share.Demand) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.demands[d.Member]; old == nil || d.Version > old.Version {
		r.demands[d.Member] = d
	}
}

// living takes note of who is alive.
func (r *rates) living(alive map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive = maps.Clone(alive)
	maps.DeleteFunc(r.demands, func(m string, _ *share.Demand) bool { return !alive[m] })
}

// tick measures this member's demand, sets its shares, and returns what it wants.
func (r *rates) tick(me string, now time.Duration) share.Demand {
	r.mu.Lock()
	defer r.mu.Unlock()
	peak := max(r.peak(int(now/time.Minute)), r.size)
	r.version++
	d := share.Demand{Member: me, Version: r.version, Rates: map[string]float64{}}
	for name, n := range r.each {
		asked := n.asked.Load()
		n.demand = 0.6*n.demand + 0.4*float64(asked-n.last)/demandTime.Seconds()
		n.last = asked
		d.Rates[name] = n.demand
		wants := map[string]float64{me: n.demand}
		for m := range r.alive {
			if m == me {
				continue
			}
			if other := r.demands[m]; other != nil {
				wants[m] = other.Rates[name]
			} else {
				wants[m] = n.limit // unknown yet: it may take a whole part
			}
		}
		mine := share.Of(n.limit, wants, me, peak)
		n.limiter.SetLimit(rate.Limit(mine))
		n.limiter.SetBurst(burst(mine))
	}
	return d
}

// peak returns the most members that were alive at once in the last minutes.
func (r *rates) peak(minute int) int {
	for ; r.minute < minute; r.minute++ {
		r.peaks[(r.minute+1)%peakMinutes] = 0
		if minute-r.minute > peakMinutes {
			r.minute = minute - peakMinutes
		}
	}
	r.peaks[minute%peakMinutes] = max(r.peaks[minute%peakMinutes], len(r.alive))
	return slices.Max(r.peaks[:])
}

// shares returns the calls a second that this member admits, by rate.
func (r *rates) shares() map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]float64{}
	for name, n := range r.each {
		all[name] = n.Share()
	}
	return all
}
