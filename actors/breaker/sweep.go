package breaker

import (
	"cmp"
	"slices"
	"time"
	"weak"
)

const (
	// sweepsPerAge is how finely the age of a breaker is found: it goes at most a
	// half late.
	sweepsPerAge = 4
	// sweepSoon is the pause between two sweeps of a crowded group, and the time
	// without a call after which its breakers may go.
	sweepSoon = time.Second
	// sickAges is how many ages a breaker must be idle if it is half-open or counts
	// failures: a day by the default age. Hosts that have gone do not fill a group.
	sickAges = 21
)

// crowded reports whether breakers go before their age. Half of the limit is left
// for those that come before the next cycle of the garbage collector. The caller
// holds mu.
func (g *Group) crowded() bool { return len(g.each) > g.cfg.Limit/2 }

// sweepIn plans a sweep, unless one is planned that comes as soon. The caller holds mu.
func (g *Group) sweepIn(wait time.Duration) {
	wait = max(wait, 1)
	switch soon := wait <= sweepSoon; {
	case g.timer == nil:
		g.timer, g.soon = time.AfterFunc(wait, g.sweep), soon
	case soon && !g.soon:
		g.soon = true
		g.timer.Reset(wait)
	}
}

// idler is a breaker that a sweep found idle.
type idler struct {
	b    *Breaker
	own  bool
	sick bool          // half-open, or with failures that are not forgotten
	idle time.Duration // since its mark
}

// sweep puts breakers to sleep that are idle for the age, and marks the others.
// No lock is held while it asks the actors.
func (g *Group) sweep() {
	g.mu.Lock()
	if g.each == nil {
		g.mu.Unlock()
		return
	}
	g.sweeps.Add(1)
	defer g.sweeps.Done()
	g.soon = false
	excess := len(g.each) - g.cfg.Limit/2
	all, settings, awake := g.idlers()
	g.mu.Unlock()

	busy := 0 // were called since the last sweep, or could be new
	all = slices.DeleteFunc(all, func(i idler) bool {
		if i.sick {
			return i.idle < sickAges*g.cfg.Age
		}
		if i.idle < min(sweepSoon, g.cfg.Age) {
			busy++
			return true
		}
		return i.idle < g.cfg.Age && excess <= 0
	})
	slices.SortFunc(all, func(a, b idler) int {
		if a.own != b.own {
			if a.own {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.idle, a.idle)
	})
	asleep := 0
	for _, i := range all {
		may := asleep < excess || i.idle >= g.cfg.Age
		if i.own { // those that sleep make room soon: one that would lose its options waits for that
			may = awake-asleep > g.cfg.Limit/2
		}
		if may && i.b.Settings() == settings && i.b.sleep() {
			asleep++
		}
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.each == nil || g.soon: // stopped, or planned meanwhile
	case len(g.each) == 0:
		g.timer = nil
	case excess > 0 && asleep+busy > 0:
		g.soon = true
		g.timer.Reset(sweepSoon)
	default:
		g.timer.Reset(max(1, g.cfg.Age/sweepsPerAge))
	}
}

// idlers marks the breakers that have the settings of all, and returns those that
// may go with how long each is idle, and the number of all that are awake. The
// caller holds mu.
func (g *Group) idlers() (all []idler, settings Settings, awake int) {
	set, err := newConfig(g.settings.Settings)
	if err != nil {
		return nil, settings, 0 // an Apply with wrong settings
	}
	named := map[string]bool{}
	for key := range g.settings.Services {
		if name, err := ParseService(key); err == nil {
			named[name] = true
		}
	}
	for name, e := range g.each {
		b := e.weak.Value()
		if b == nil || b.view.Load().kind == viewAsleep {
			continue
		}
		if awake++; named[name] {
			continue
		}
		since, healthy := b.idle()
		if healthy || b.view.Load().kind == viewMarked {
			all = append(all, idler{b, e.own, !healthy, time.Duration(b.now() - since)})
		}
	}
	return all, set.Settings, awake
}

// forgetter is what the collector calls for a breaker that it has taken. It does not hold
// the group: what the group holds may hold the breaker, which would stay for good then.
type forgetter struct{ group weak.Pointer[Group] }

// forget drops the entry of a breaker that the garbage collector has taken.
func (f forgetter) forget(e *entry) {
	g := f.group.Value()
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.each[e.service] == e {
		delete(g.each, e.service)
	}
}
