package chassistest

import (
	"slices"
	"time"
)

// shrinkTime is how long a failing schedule is made smaller, in real time.
const shrinkTime = 30 * time.Second

// shrinking looks for the smallest schedule that fails in the same way.
type shrinking struct {
	storm *storm
	best  *result
	name  string // of the invariant
	until time.Time
	runs  int
}

// shrink makes a failing schedule as small as it gets: fewer faults, then fewer sends,
// then a smaller fleet, then times that are short and round.
func (s *storm) shrink(r *result) *result {
	defer spareCollector()()
	k := &shrinking{storm: s, best: r, name: r.findings[0].Invariant, until: time.Now().Add(shrinkTime)}
	if k.best.schedule.AsAWS {
		k.try(k.with(func(c *Schedule) { c.AsAWS = false }))
	}
	for before := -1; before != k.size(); { // what one leaves out may make another needless
		before = k.size()
		minimal(k.best.schedule.Faults, func(list []Fault) bool {
			return k.try(k.with(func(c *Schedule) { c.Faults = list }))
		})
		for i := range k.best.schedule.Faults {
			k.earlier(i)
		}
		minimal(k.best.sends(), func(list []int) bool {
			return len(list) > 0 && k.try(k.with(func(c *Schedule) { c.Sends = list }))
		})
	}
	for n := 1; n < k.best.schedule.Fleet; n++ {
		if k.try(k.smaller(n)) {
			break
		}
	}
	for i := range k.best.schedule.Faults {
		k.round(i)
	}
	return k.best
}

// size is what is to become less.
func (k *shrinking) size() int { return len(k.best.schedule.Faults) + len(k.best.sends()) }

// sends are the numbers of the sends that take place.
func (r *result) sends() []int {
	if r.schedule.Sends != nil {
		return r.schedule.Sends
	}
	all := make([]int, r.sent)
	for i := range all {
		all[i] = i
	}
	return all
}

// with is the best schedule so far, changed.
func (k *shrinking) with(change func(*Schedule)) Schedule {
	c := k.best.schedule
	c.Faults, c.Sends = slices.Clone(c.Faults), slices.Clone(c.Sends)
	change(&c)
	return c
}

// try plays a schedule, and takes it if it fails in the same way.
func (k *shrinking) try(c Schedule) bool {
	if time.Now().After(k.until) {
		return false
	}
	k.runs++
	r := k.storm.run(c)
	// With fewer sends other things may not hold: an Eventually that counts them, for
	// example.
	r.findings = slices.DeleteFunc(r.findings, func(f Finding) bool { return f.Invariant != k.name })
	if len(r.findings) == 0 {
		return false
	}
	k.best = r
	return true
}

// smaller is the best schedule with a fleet of n: what strikes the others strikes the
// last of these.
func (k *shrinking) smaller(n int) Schedule {
	return k.with(func(c *Schedule) {
		c.Fleet = n
		for i := range c.Faults {
			c.Faults[i].Process = min(c.Faults[i].Process, n)
		}
	})
}

// earlier has a fault strike as early a step as can be: what came before need not happen
// then.
func (k *shrinking) earlier(i int) {
	for _, nth := range []int{1, 2, k.best.schedule.Faults[i].Nth / 2} {
		if nth > 0 && nth < k.best.schedule.Faults[i].Nth &&
			k.try(k.with(func(c *Schedule) { c.Faults[i].Nth = nth })) {
			return
		}
	}
}

// units are the steps to which times are rounded, the coarsest first.
var units = []time.Duration{10 * time.Second, time.Second, 100 * time.Millisecond, 10 * time.Millisecond}

// round makes the times of a fault short and round.
func (k *shrinking) round(i int) {
	fields := []func(*Fault) *time.Duration{
		func(f *Fault) *time.Duration { return &f.For }, func(f *Fault) *time.Duration { return &f.Back },
		func(f *Fault) *time.Duration { return &f.At },
	}
	for _, field := range fields {
		d := *field(&k.best.schedule.Faults[i])
		if d == 0 {
			continue
		}
		for _, unit := range units {
			shorter, longer := d.Truncate(unit), d.Truncate(unit)+unit
			set := func(d time.Duration) Schedule {
				return k.with(func(c *Schedule) { *field(&c.Faults[i]) = d })
			}
			if shorter > 0 && shorter < d && k.try(set(shorter)) || d%unit != 0 && k.try(set(longer)) || d%unit == 0 {
				break
			}
		}
	}
}

// minimal finds a part of list that still fails, and no longer does without any one of
// its elements (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
// input", 2002: ddmin). fails is asked about parts of list only.
func minimal[T any](list []T, fails func([]T) bool) []T {
	for parts := 2; len(list) > 0; {
		parts = min(parts, len(list))
		size, smaller := (len(list)+parts-1)/parts, false
		for from := 0; from < len(list); from += size {
			rest := slices.Concat(list[:from], list[min(from+size, len(list)):])
			if fails(rest) {
				list, parts, smaller = rest, max(parts-1, 2), true
				break
			}
		}
		switch {
		case smaller:
		case size == 1:
			return list
		default:
			parts *= 2
		}
	}
	return list
}
