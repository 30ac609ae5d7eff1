package flow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

var (
	step   = task.Define[node]("step", task.MaxFailures(1000), task.Wait(time.Second, task.None))
	gather = task.Define[flow.Outcome]("gather", task.MaxFailures(1000))
	begin  = task.Define[int]("begin", task.MaxFailures(1000))
	watch  = task.Define[int]("watch", task.MaxFailures(1000))
)

// serve registers the tasks of a graph; around is called before each of its tasks.
func (g *graph) serve(w *chassistest.World, p *chassistest.Process, f flow.Flow, around func(context.Context)) *flow.Flows {
	flows, err := flow.New(p.System)
	if err != nil {
		panic(err)
	}
	chassis.Handle(p.System, step, func(ctx context.Context, job task.Job[node]) error {
		around(ctx)
		if job.Args.Ends == "bad" {
			return task.Cancel(errors.New("never"))
		}
		err := w.Effect(ctx, "ran", job.Args.Name, job.ExecID)
		if sub, ok := g.subs[job.Args.Name]; ok && err == nil {
			err = flows.Continue(ctx, sub)
		}
		if err == nil && job.Args.Ends == "late" && job.Attempt <= 2 {
			return errors.New("not yet") // after a Continue, too: it is called again
		}
		return err
	})
	chassis.Handle(p.System, gather, func(ctx context.Context, job task.Job[flow.Outcome]) error {
		around(ctx)
		return w.Effect(ctx, "ran", said(*job.Extra["label"].StringValue, job.Args), job.ExecID)
	})
	chassis.Handle(p.System, begin, func(ctx context.Context, job task.Job[int]) error {
		_, err := flows.Start(ctx, f, flow.ID("flow"))
		return err
	})
	return flows
}

// ran returns what has run, and an error if something did under two exec_ids.
func ran(w *chassistest.World) (map[string]bool, error) {
	ran, execs := map[string]bool{}, map[string]string{}
	for _, e := range w.Effects("ran") {
		name, exec := e.Args[0].(string), e.Args[1].(string)
		label, _, _ := strings.Cut(name, " ")
		if was, known := execs[label]; known && was != exec {
			return nil, fmt.Errorf("%s ran under two exec_ids: %s and %s", label, was, exec)
		}
		ran[name], execs[label] = true, exec
	}
	return ran, nil
}

// stormOfFlows plays one random graph of up to so many nodes.
func stormOfFlows(nodes int) func(w *chassistest.World) {
	return func(w *chassistest.World) {
		g := &graph{rand: w.Rand(), left: nodes, subs: map[string]flow.Flow{}}
		f, model := g.top()
		want := map[string]bool{}
		model.run(want)
		w.Service(func(p *chassistest.Process) {
			g.serve(w, p, f, func(context.Context) {})
			chassis.Handle(p.System, watch, func(context.Context, task.Job[int]) error {
				if !slices.ContainsFunc(w.Effects("ran"), func(e chassistest.Effect) bool {
					return strings.HasPrefix(e.Args[0].(string), "end ")
				}) { // the storm is not over while the flow's queue holds something
					return task.Snooze(20 * time.Second)
				}
				return nil
			})
		})
		chassistest.Submit(w, begin, 1)
		chassistest.Submit(w, watch, 1)
		w.Eventually("the final states are those of a sequential run", func() error {
			ran, err := ran(w)
			if err != nil {
				return err
			}
			for name := range want {
				if !ran[name] {
					return fmt.Errorf("%s has not run", name)
				}
			}
			for name := range ran {
				if !want[name] {
					return fmt.Errorf("%s ran, and should not have", name)
				}
			}
			return nil
		})
	}
}

// kinds are all faults but those by which an operator changes what becomes of a task.
func kinds() []chassistest.Kind {
	return slices.DeleteFunc(chassistest.AllKinds(), func(k chassistest.Kind) bool {
		return k == chassistest.Cancel || k == chassistest.Redrive
	})
}

// flowStorm plays in so many seeds, and many more with CHASSIS_SCALE=full.
func flowStorm(t *testing.T, seeds int, play func(*chassistest.World), more ...chassistest.StormOption) {
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 200
	}
	chassistest.Storm(t, play, append(more, chassistest.Seeds(seeds), chassistest.Kinds(kinds()...),
		chassistest.Within(24*time.Hour),
		// A start that was cut short sends its tasks again: these end once more, untouched.
		chassistest.Without(chassistest.OneEnd))...)
}

// TestFlowsInAStorm plays random graphs of up to 50 nodes. Tasks of them put flows, some of
// them batches, in their own place.
func TestFlowsInAStorm(t *testing.T) { flowStorm(t, 4, stormOfFlows(50)) }
