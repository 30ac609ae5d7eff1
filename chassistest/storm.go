package chassistest

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
)

// SeedVariable is the environment variable that makes [Storm] play one seed only,
// and log its timeline.
const SeedVariable = "CHASSIS_SEED"

// StormOption changes a [Storm].
type StormOption func(*storm)

// storm is what is the same for all seeds.
type storm struct {
	t       *testing.T
	play    func(*World)
	seeds   int
	first   uint64
	fleet   int
	faults  int
	kinds   []Kind
	change  []func(*chassis.Settings)
	chassis []chassis.Option
	without []string
	limit   time.Duration
	workers int
	data    int                           // faults at statements, of a hundred
	tamper  func(*Process, *http.Request) // of tests: a runtime that is wrong
	queues  map[string]string             // of tests: attributes of the pools' queues
}

// Seeds is how many seeds are played, from 1 or [FirstSeed] on. The default is 200.
func Seeds(n int) StormOption { return func(s *storm) { s.seeds = n } }

// FirstSeed is the first seed. The default is 1.
func FirstSeed(k uint64) StormOption { return func(s *storm) { s.first = k } }

// Fleet is how many processes there are. The default is 3.
func Fleet(n int) StormOption { return func(s *storm) { s.fleet = n } }

// Faults is how many faults are drawn for each seed. The default is 20.
func Faults(n int) StormOption { return func(s *storm) { s.faults = n } }

// Kinds is which kinds of faults are drawn. The default is [AllKinds].
func Kinds(kinds ...Kind) StormOption { return func(s *storm) { s.kinds = kinds } }

// Tune changes the settings of all processes. They begin as the defaults, with a
// lease of 30 seconds and the log at its highest level.
func Tune(change func(*chassis.Settings)) StormOption {
	return func(s *storm) { s.change = append(s.change, change) }
}

// With passes options on to chassis.New of all processes.
func With(opts ...chassis.Option) StormOption {
	return func(s *storm) { s.chassis = append(s.chassis, opts...) }
}

// Without leaves out some of the invariants that every storm has; see [Invariants].
func Without(names ...string) StormOption {
	return func(s *storm) { s.without = append(s.without, names...) }
}

// Within is the simulated time in which all tasks must have ended. The default is 6
// hours.
func Within(d time.Duration) StormOption { return func(s *storm) { s.limit = d } }

func newStorm(t *testing.T, play func(*World), opts []StormOption) *storm {
	s := &storm{t: t, play: play, seeds: 200, first: 1, fleet: 3, faults: 20, kinds: AllKinds(), limit: 6 * time.Hour,
		workers: runtime.GOMAXPROCS(0)}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Storm plays a service in simulated time under faults that are drawn from seeds: for
// each seed a fleet of systems on one queue, in a bubble of testing/synctest of its
// own. play is called once for each seed, and says what the processes are, what is
// sent, and what must hold. A seed after which something does not hold is made as small
// as it gets, and fails the test with a timeline, and with a test that fails again by
// [Replay].
//
//	chassistest.Storm(t, func(w *chassistest.World) {
//		w.Service(func(p *chassistest.Process) {
//			chassis.Handle(p.System, Charge, func(ctx context.Context, job task.Job[Order]) error {
//				return w.Effect(ctx, "charge", job.Args.ID)
//			})
//		})
//		for i := range 30 {
//			chassistest.Submit(w, Charge, Order{ID: i})
//		}
//		w.Eventually("charged once", func() error { … })
//	})
func Storm(t *testing.T, play func(w *World), opts ...StormOption) {
	t.Helper()
	s := newStorm(t, play, opts)
	if one := os.Getenv(SeedVariable); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatalf("chassistest: %s is %q: want a seed, a number", SeedVariable, one)
		}
		s.first, s.seeds = seed, 1
	}
	found := s.search()
	if found == nil {
		if s.seeds == 1 {
			t.Logf("seed %d:\n%s", s.first, s.run(s.draw(s.first)).timeline())
		}
		return
	}
	found = s.shrink(found)
	t.Errorf("%s", found.explain(t.Name()))
}

// Replay plays one schedule, as [Storm] prints it, and fails the test as the storm did.
func Replay(t *testing.T, schedule Schedule, play func(w *World), opts ...StormOption) {
	t.Helper()
	if err := schedule.check(); err != nil {
		t.Fatal(err)
	}
	s := newStorm(t, play, opts)
	r := s.run(schedule)
	if len(r.findings) > 0 {
		t.Errorf("%s\n%s", r.findings[0], r.timeline())
	} else if testing.Verbose() {
		t.Logf("nothing was found:\n%s", r.timeline())
	}
}

// search plays the seeds until one fails, and returns that with the lowest number of
// those that have failed by then.
func (s *storm) search() (found *result) {
	defer spareCollector()()
	var (
		mu   sync.Mutex
		next int
		all  sync.WaitGroup
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if found != nil || next >= s.seeds || s.t.Context().Err() != nil {
			return 0, false
		}
		next++
		return s.first + uint64(next-1), true
	}
	for range min(s.workers, s.seeds) {
		all.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				r := s.run(s.draw(seed))
				if len(r.findings) == 0 {
					continue
				}
				mu.Lock()
				if found == nil || r.schedule.Seed < found.schedule.Seed {
					found = r
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return found
}

// result is what one schedule came to.
type result struct {
	schedule         Schedule
	findings         []Finding
	trace            *trace
	sent             int     // sends of the play
	struck           []Fault // the faults that took place
	tasks, untouched int     // all tasks, and those that no fault has touched
}

// Finding is something that does not hold.
type Finding struct {
	Invariant string // of [Invariants], or the name that the play gave it
	Task      string // the label of the task that it is about; may be empty
	What      string
	At        time.Duration
}

// String is the finding for people.
func (f Finding) String() string {
	about := ""
	if f.Task != "" {
		about = " " + f.Task + ":"
	}
	return fmt.Sprintf("%s:%s %s", f.Invariant, about, f.What)
}

// run plays one schedule in a bubble.
func (s *storm) run(schedule Schedule) (r *result) {
	var (
		w    *World
		mark string
	)
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		text := fmt.Sprint(v)
		if w == nil || !strings.Contains(text, "deadlock") {
			panic(v)
		}
		r = w.result()
		what := "goroutines are left that never end: " + text + "\n" + left(mark)
		r.findings = append(r.findings, Finding{Invariant: Leak, What: what})
	}()
	synctest.Test(s.t, func(t *testing.T) {
		mark = bubble()
		w = newWorld(s, schedule)
		w.live(t)
		r = w.result()
	})
	return r
}

// settings are those of a process.
func (w *World) settings() chassis.Settings {
	set := chassis.DefaultSettings()
	set.Log.Level = "error"
	set.Tasks.TaskPool = "storm"
	set.Tasks.TaskTimeout = 30 * time.Second
	set.Tasks.ReceiveWait = 20 * time.Second
	for _, change := range slices.Concat(w.storm.change, w.tuning) {
		change(&set)
	}
	return set
}

func (s *storm) judges(invariant string) bool { return !slices.Contains(s.without, invariant) }
