package chassistest

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

type parcel struct{ ID int }

var (
	pack    = task.Define[parcel]("pack", task.MaxFailures(4), task.Wait(2*time.Second, task.None))
	ship    = task.Define[parcel]("ship", task.MaxFailures(2), task.OnFail("lost"), task.Wait(time.Second, task.Random))
	deliver = task.Define[parcel]("deliver", task.MaxFailures(4), task.Wait(time.Second, task.None))
	lost    = task.Define[parcel]("lost")
	post    = task.Define[parcel]("post")
)

// parcels is a play with a bit of everything: failures, waits, on_fail tasks, dead
// letters, tasks that send tasks, and calls.
func parcels(n int) func(w *World) {
	return func(w *World) {
		carrier := w.Upstream("https://carrier.internal", nil)
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				if err := w.Effect(ctx, "pack", job.Args.ID); err != nil {
					return err
				}
				if job.Args.ID%5 == 1 && job.Attempt < 3 || job.Args.ID%10 == 7 {
					return errors.New("the box is broken")
				}
				if job.Args.ID%6 == 2 && job.Attempt == 1 {
					return task.Snooze(40 * time.Second)
				}
				if job.Args.ID%3 > 0 {
					return nil
				}
				_, err := chassis.Send(ctx, p.System, post, job.Args)
				return err
			})
			chassis.Handle(p.System, ship, func(ctx context.Context, job task.Job[parcel]) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Duration(job.Args.ID) * time.Second):
				}
				if job.Args.ID%4 == 0 {
					panic("no ship")
				}
				return nil
			})
			chassis.Handle(p.System, lost, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "lost", job.Args.ID)
			})
			client := &http.Client{Transport: p.Breaker("https://carrier.internal").Transport(carrier)}
			chassis.Handle(p.System, post, func(ctx context.Context, job task.Job[parcel]) error {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://carrier.internal/parcels", nil)
				if err != nil {
					return err
				}
				res, err := client.Do(r)
				if err != nil {
					return err
				}
				defer func() { _ = res.Body.Close() }()
				if res.StatusCode != http.StatusOK {
					return errors.New(res.Status)
				}
				_, err = io.Copy(io.Discard, res.Body)
				return err
			})
		})
		for i := range n {
			if i%3 == 2 {
				Submit(w, ship, parcel{i})
			} else {
				Submit(w, pack, parcel{i})
			}
		}
	}
}

// TestOneSeedOneTrace: the trace of a seed is the same over runs, and however many
// threads there are. With CHASSIS_SCALE=full it plays all worlds, or STORM_WORLD alone.
func TestOneSeedOneTrace(t *testing.T) {
	runs, seeds, names := 3, uint64(4), []string{"parcels", "convoys"}
	if os.Getenv("CHASSIS_SCALE") == "full" {
		names = slices.Sorted(maps.Keys(worlds))
		names = slices.DeleteFunc(names, func(name string) bool { return name == "asking" }) // see there
		if one := os.Getenv("STORM_WORLD"); one != "" {
			names = []string{one}
		}
		runs, seeds = number(t, "STORM_RUNS", 100), uint64(number(t, "STORM_SEEDS", 20))
	}
	for _, name := range names {
		s := newStorm(t, worlds[name].play, worlds[name].opts)
		for seed := uint64(1); seed <= seeds; seed++ {
			var first *result
			for i := range runs {
				procs := runtime.GOMAXPROCS([]int{1, 2, 4}[i%3])
				r := s.run(draw(seed, s.fleet, s.faults, s.kinds))
				runtime.GOMAXPROCS(procs)
				if first == nil {
					first = r
				} else if r.trace.sum != first.trace.sum {
					t.Errorf("%s, seed %d: run %d differs: %s", name, seed, i, divergence(first, r))
					break
				}
			}
		}
	}
}

// divergence is the first line in which two timelines differ, with those before it.
func divergence(a, b *result) string {
	x, y := a.trace.events, b.trace.events
	for i := range min(len(x), len(y)) {
		if x[i].String() == y[i].String() && x[i].At == y[i].At {
			continue
		}
		var text strings.Builder
		for _, e := range x[max(i-12, 0):i] {
			text.WriteString("\n  " + e.String())
		}
		for k := range 4 {
			if i+k < len(x) {
				text.WriteString("\n< " + x[i+k].String())
			}
		}
		for k := range 4 {
			if i+k < len(y) {
				text.WriteString("\n> " + y[i+k].String())
			}
		}
		return text.String()
	}
	return "one is longer"
}
