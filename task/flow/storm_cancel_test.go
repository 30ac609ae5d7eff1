package flow_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

var stop = task.Define[int]("stop", task.MaxFailures(1000), task.Wait(time.Second, task.None))

const (
	cancelKnown = time.Minute      // after which no process begins a task of a cancelled flow
	cancelOver  = 15 * time.Minute // after which nothing of it is left
)

// stormOfCancels plays one random graph that is cancelled in the middle.
func stormOfCancels(nodes int) func(w *chassistest.World) {
	return func(w *chassistest.World) {
		g := &graph{rand: w.Rand(), left: nodes, subs: map[string]flow.Flow{}}
		f, model := g.top()
		at := time.Duration(w.Rand().Int64N(int64(30 * time.Second)))
		w.Service(func(p *chassistest.Process) {
			flows := g.serve(w, p, f, func(ctx context.Context) {
				select { // so that the flow takes a while
				case <-time.After(time.Duration(rand.New(rand.NewPCG(1, uint64(w.Now()))).Int64N(int64(3 * time.Second)))):
				case <-ctx.Done():
				}
			})
			chassis.Handle(p.System, stop, func(ctx context.Context, job task.Job[int]) error {
				if err := flows.Cancel(ctx, "flow"); err != nil {
					return err
				}
				return w.Effect(ctx, "cancelled")
			})
			chassis.Handle(p.System, watch, func(context.Context, task.Job[int]) error {
				if c := w.Effects("cancelled"); len(c) == 0 || w.Now() < c[0].At+cancelOver {
					return task.Snooze(20 * time.Second)
				}
				return nil
			})
		})
		chassistest.Submit(w, begin, 1)
		chassistest.Submit(w, watch, 1)
		chassistest.SubmitAt(w, at, stop, 1)
		w.Eventually("a cancelled flow ends, and is undone", func() error {
			ran, err := ran(w)
			if err != nil {
				return err
			}
			for name := range ran { // the outcomes are not those of a sequential run
				if label, _, found := strings.Cut(name, " "); found {
					ran[label] = true
				}
			}
			model.each(func(c chain) {
				if err == nil {
					err = c.cancelled(ran)
				}
			})
			if err != nil {
				return err
			}
			cancels := w.Effects("cancelled")
			if len(cancels) == 0 || w.Now() < cancels[0].At+cancelOver { // a part of the sends
				return nil
			}
			cancelled := cancels[0].At
			for _, e := range w.Effects("ran") {
				if name := e.Args[0].(string); !strings.HasPrefix(name, "u") && e.At > cancelled+cancelKnown {
					return fmt.Errorf("%s ran %v after the cancel", name, e.At-cancelled)
				}
			}
			return nil
		})
	}
}

// cancelled returns what is wrong with a chain of a flow that was cancelled at some time.
// A link ran only after the one before it, and was undone only if it ran. One that said
// that it was done, for a task after it ran, is undone, unless the chain came to its end.
func (c chain) cancelled(ran map[string]bool) error {
	last := c[len(c)-1]
	ended := last.group || ran[last.Name] || ran[last.label] // of a group at the end that is not known
	for i, s := range c {
		began := func(s stage) bool { return !s.group && ran[s.Name+s.label] }
		if i > 0 && began(s) && !c[i-1].group && !began(c[i-1]) {
			return fmt.Errorf("%s ran, and %s before it did not", s.Name+s.label, c[i-1].Name+c[i-1].label)
		}
		if s.undo == "" {
			continue
		}
		if ran[s.undo] && !s.group && !ran[s.Name] {
			return fmt.Errorf("%s ran, and %s that it undoes did not", s.undo, s.Name)
		}
		if !ended && !ran[s.undo] && slices.ContainsFunc(c[i+1:], began) {
			return fmt.Errorf("a task after %s ran, its chain did not end, and it was not undone by %s", s.Name, s.undo)
		}
	}
	return nil
}

// TestCancelledFlowsInAStorm cancels random graphs of up to 50 nodes.
func TestCancelledFlowsInAStorm(t *testing.T) {
	// A task that is left out is deleted before its run.
	flowStorm(t, 4, stormOfCancels(50), chassistest.Without(chassistest.NotLost))
}
