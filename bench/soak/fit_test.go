package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// curve makes an hour of samples in which the heap is what is given and all
// else stands still.
func curve(heap func(minute float64) float64) []sample {
	var all []sample
	for i := range 240 {
		at := time.Duration(i) * 15 * time.Second
		s := sample{at: at, figures: [6]float64{40 << 20, 0, 60, 25, 20, 1 << 20}}
		s.figures[1] = heap(at.Minutes()) * (1 << 20)
		all = append(all, s)
	}
	return all
}

func TestFit(t *testing.T) {
	for name, c := range map[string]struct {
		heap func(minute float64) float64
		flat bool
	}{
		"constant":                    {func(float64) float64 { return 8 }, true},
		"noise":                       {func(float64) float64 { return 8 + 4*rand.Float64() }, true},
		"filled in the first quarter": {func(m float64) float64 { return min(8+m, 23) }, true},
		"spikes":                      {func(m float64) float64 { return 8 + 50*float64(int(m*4)%10/9) }, true},
		"falls":                       {func(m float64) float64 { return 80 - m }, true},
		"a slow leak":                 {func(m float64) float64 { return 8 + m*0.05 }, false},
		"a slow leak in the noise":    {func(m float64) float64 { return 8 + m*0.1 + rand.Float64() }, false},
		"a leak that begins late":     {func(m float64) float64 { return 8 + max(0, m-30)*0.1 }, false},
	} {
		trends := fit(curve(c.heap))
		if got := trends[1]; got.flat != c.flat {
			t.Errorf("%s: %v", name, got)
		}
		if !trends[0].flat || !trends[5].flat {
			t.Errorf("%s: what stands still is said to grow: %v", name, trends)
		}
	}
}

func TestLedgerTellsWhatMustNotBe(t *testing.T) {
	for name, do := range map[string]func(l *ledger){
		"ended twice":                  func(l *ledger) { id := l.enter("plain"); l.finish(id); l.finish(id) },
		"a dead letter of a good task": func(l *ledger) { l.bury(l.enter("plain")) },
		"died after it was done":       func(l *ledger) { id := l.enter(hopeless); l.finish(id); l.bury(id) },
		"never sent":                   func(l *ledger) { l.finish(7) },
	} {
		l := newLedger()
		if do(l); len(l.faults) != 1 {
			t.Errorf("%s: faults %q", name, l.faults)
		}
	}
	l := newLedger()
	id := l.enter(hopeless)
	if !l.bury(id) || l.bury(id) || len(l.faults) != 0 || len(l.lost()) != 0 {
		t.Errorf("a hopeless task is sent back once and then buried: %+v", l)
	}
	l.enter("plain")
	if len(l.lost()) != 1 {
		t.Errorf("a task that is not over is lost: %q", l.lost())
	}
}
