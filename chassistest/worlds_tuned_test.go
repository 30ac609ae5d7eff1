package chassistest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sambatech/chassis"
)

// tunedParcels is a play with settings that the seed draws: few executions or many, short leases,
// short drains, little room, long waits in place or none.
func tunedParcels(play func(w *World)) func(w *World) {
	return func(w *World) {
		// Numbers of its own: those of the play stay as they are.
		draws := rand.New(rand.NewPCG(w.schedule.Seed, 0x5e77))
		one := func(of ...time.Duration) time.Duration { return of[draws.IntN(len(of))] }
		set := chassis.DefaultSettings().Tasks
		set.Workers = 1 + draws.IntN(4)
		set.MaxWorkers = set.Workers + draws.IntN(6)
		set.TaskTimeout = one(5*time.Second, 30*time.Second, 10*time.Minute)
		set.ReceiveWait = one(time.Second, 20*time.Second)
		set.HoldLimit = one(0, 2*time.Second, 30*time.Second, 10*time.Minute)
		set.MaxHeld = []int{1, 3, 1000}[draws.IntN(3)]
		set.DrainTimeout = one(time.Second, 20*time.Second)
		set.AbandonAfter = one(time.Second, 10*time.Second)
		w.Tune(func(s *chassis.Settings) {
			t := &s.Tasks
			t.Workers, t.MaxWorkers, t.TaskTimeout, t.ReceiveWait = set.Workers, set.MaxWorkers, set.TaskTimeout, set.ReceiveWait
			t.HoldLimit, t.MaxHeld, t.DrainTimeout, t.AbandonAfter = set.HoldLimit, set.MaxHeld, set.DrainTimeout, set.AbandonAfter
		})
		play(w)
	}
}

// TestAFailureThatASuspensionHides: a process takes an attempt for failed when its deadline and
// abandon_after are over, though its handler returns in time, or has not begun, in a process
// that is suspended. The dead letter says so, and the storm accuses nothing.
func TestAFailureThatASuspensionHides(t *testing.T) {
	for name, from := range map[string]time.Duration{"before its end": 10 * time.Second, "before its begin": 4 * time.Second} {
		t.Run(name, func(t *testing.T) {
			s := newStorm(t, worlds["tuned-groups"].play, worlds["tuned-groups"].opts)
			r := s.run(Schedule{Seed: 3015154, Fleet: 1, Sends: []int{8},
				Faults: []Fault{{Kind: Suspend, Process: 1, At: from, For: 50 * time.Second}}})
			if h := (history{r}); len(r.findings) > 0 || !h.noted("send", "storm_dead.fifo") {
				t.Errorf("found %v:\n%s", r.findings, r.timeline())
			}
		})
	}
}
