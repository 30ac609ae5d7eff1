package chassistest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
)

// playground is a play in which the storm looks for faults of the runtime itself.
type playground struct {
	play func(w *World)
	opts []StormOption
}

// worlds are the plays by their names. Command bench/reverts puts past faults back, and
// names the world in which each is to be found.
var worlds = map[string]playground{
	"parcels":      {play: parcels(30)},
	"brief":        brief,
	"budget":       budget,
	"stops":        stops,
	"polls":        polls,
	"scheduled":    scheduled,
	"retention":    retention,
	"blackout":     blackout,
	"errors":       oddErrors,
	"groups":       groups,
	"limited":      limited,
	"moved":        moved,
	"poison":       poison,
	"redrive":      redrive,
	"small":        small,
	"unread":       unread,
	"clocks":       clocks,
	"instant":      instant,
	"apart":        apart,
	"convoys":      {play: convoys(30), opts: []StormOption{Tune(fifo)}},
	"stepping":     stepping,
	"ticks":        ticks,
	"retimed":      retimed,
	"bulks":        bulks,
	"outage":       outage,
	"queued":       {play: outage.play, opts: append([]StormOption{Tune(fifo)}, outage.opts...)},
	"deploys":      deploys,
	"pools":        pools,
	"asking":       asking,
	"tenants":      {play: tenants},
	"landlord":     {play: limitedTenants, opts: []StormOption{Tune(limitTenants), Without(InOrder)}},
	"addresses":    addresses,
	"tuned":        {play: tunedParcels(parcels(24))},
	"tuned-groups": {play: tunedParcels(convoys(24)), opts: []StormOption{Tune(fifo), Without(OneEnd)}},
	"tuned-steps":  {play: tunedParcels(journeys(12))},
	"journeys":     {play: journeys(20)},
	"treks":        {play: journeys(20), opts: []StormOption{Tune(fifo)}},
}

// TestStormWorlds: no fault of the runtime shows in any of the worlds. With
// CHASSIS_SCALE=full it plays STORM_SEEDS seeds of each, or 500.
func TestStormWorlds(t *testing.T) {
	seeds := 1
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = number(t, "STORM_SEEDS", 500)
	}
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) { Storm(t, world.play, append(world.opts, Seeds(seeds))...) })
	}
}

// TestStormSearch plays STORM_SEEDS seeds of the world STORM_WORLD from STORM_FIRST on until one
// fails, and logs that without making it smaller. It belongs to bench/reverts.
func TestStormSearch(t *testing.T) {
	name := os.Getenv("STORM_WORLD")
	if name == "" {
		t.Skip("bench/reverts sets STORM_WORLD")
	}
	world, ok := worlds[name]
	if !ok {
		t.Fatalf("STORM_WORLD is %q: want a world of worlds_test.go", name)
	}
	played, found := SearchForTest(t, world.play, append(world.opts, Seeds(number(t, "STORM_SEEDS", 300)),
		FirstSeed(uint64(number(t, "STORM_FIRST", 1))))...)
	f := Finding{Invariant: "-"}
	if len(found) > 0 {
		f = found[0]
	}
	t.Logf("storm:\t%d\t%s\t%s", played, f.Invariant, strings.Join(strings.Fields(f.String()), " "))
}

// ofQueues gives the queues of the pools other attributes.
func ofQueues(attributes map[string]string) StormOption {
	return func(s *storm) { s.queues = attributes }
}

// stopsWithin says that no process takes longer to stop.
func stopsWithin(w *World, most time.Duration) {
	w.Eventually("a stop in time", func() error {
		begun := map[[2]int]time.Duration{}
		for _, e := range w.History() {
			life := [2]int{e.Process, e.Life}
			switch began, ok := begun[life]; {
			case e.What == "stops":
				begun[life] = e.At
			case e.What == "has stopped" && ok && e.At-began > most:
				return fmt.Errorf("p%d took %v to stop", e.Process, e.At-began)
			}
		}
		return nil
	})
}

// failsAtMost says that no task fails more often than it may. A task is not judged once a
// copy of it and the message before it are both there for longer than a lease: both run.
func failsAtMost(w *World) {
	twice := map[*fate]bool{}
	w.Always("a budget that is kept", func() error {
		there := map[*fate]int{}
		for _, m := range w.book.messages {
			if !m.gone && w.book.pools[m.pool] {
				there[m.fate]++
			}
		}
		for _, m := range w.book.messages {
			if !m.gone && there[m.fate] > 1 && m.latest != nil && w.Now() > m.latest.until {
				twice[m.fate] = true
			}
		}
		for _, f := range w.book.order {
			if len(f.runs) > 0 && !twice[f] && f.redrives == 0 && f.failures > f.runs[0].info.MaxFailures {
				return fmt.Errorf("%s has failed %d times of %d", f.label, f.failures, f.runs[0].info.MaxFailures)
			}
		}
		return nil
	})
}

// copiesAtMost says that no task is put on its queue more often than n times without a
// run in between.
func copiesAtMost(w *World, n int) {
	seen, sends, runs := 0, map[string]int{}, map[string]int{}
	w.Always("few copies", func() error {
		history := w.History()
		for _, e := range history[seen:] {
			for _, label := range e.Tasks {
				switch {
				case e.What == string(OnStart):
					runs[label]++
				case e.What == string(OnSend)+" answered" && e.Note == "":
					sends[label]++
				}
				if sends[label] > n+2*runs[label] {
					return fmt.Errorf("%s has been copied %d times, and ran %d times", label, sends[label], runs[label])
				}
			}
		}
		seen = len(history)
		return nil
	})
}

// asksAtMost says that the processes make no more requests than n.
func asksAtMost(w *World, n int) {
	seen, asked := 0, 0
	w.Always("few requests", func() error {
		history := w.History()
		for _, e := range history[seen:] {
			switch Step(e.What) {
			case OnReceive, OnSend, OnDelete, OnHide, OnLook:
				asked++
			}
		}
		if seen = len(history); asked > n {
			return fmt.Errorf("%d requests after %v", asked, w.Now().Round(time.Second))
		}
		return nil
	})
}

// tuned changes the section tasks of all processes.
func tuned(change func(t *chassis.TaskSettings)) StormOption {
	return Tune(func(s *chassis.Settings) { change(&s.Tasks) })
}
