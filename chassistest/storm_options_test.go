package chassistest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// TestStormOptions: each option of a storm has its effect.
func TestStormOptions(t *testing.T) {
	var (
		mu       sync.Mutex
		seeds    = map[uint64]bool{}
		highest  int
		workers  int
		wrapped  atomic.Int64
		wrapping task.Middleware = func(next task.RawHandler) task.RawHandler { wrapped.Add(1); return next }
	)
	play := func(w *World) {
		mu.Lock()
		seeds[w.schedule.Seed] = true
		mu.Unlock()
		if n := len(w.schedule.Faults); n != 5 {
			t.Errorf("%d faults", n)
		}
		for _, f := range w.schedule.Faults {
			if f.Kind != Deploy {
				t.Errorf("a fault of the kind %q", f.Kind)
			}
		}
		w.Service(func(p *Process) {
			mu.Lock()
			highest, workers = max(highest, p.Number()), p.Settings().Tasks.Workers
			mu.Unlock()
			chassis.Handle(p.System, post, succeeds(w, p))
		})
		Submit(w, post, parcel{1})
		w.Eventually("never", func() error {
			if w.schedule.Seed == 9 {
				w.accuse(NotLost, "", "a mistake of this test")
			}
			return nil
		})
	}
	Storm(t, play, Seeds(3), FirstSeed(7), Fleet(2), Faults(5), Kinds(Deploy), Without(NotLost),
		Tune(func(s *chassis.Settings) { s.Tasks.Workers = 2 }), With(chassis.WithMiddleware(wrapping)))
	if len(seeds) != 3 || !seeds[7] || !seeds[8] || !seeds[9] {
		t.Errorf("the seeds %v", seeds)
	}
	if highest != 2 || workers != 2 || wrapped.Load() == 0 {
		t.Errorf("%d processes, %d workers, wrapped %d times", highest, workers, wrapped.Load())
	}
}
