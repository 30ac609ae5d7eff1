package flow_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// graph is a random flow, and what a sequential run of it comes to.
type graph struct {
	rand  *rand.Rand
	left  int // nodes
	names int
	want  map[string]bool // what is to have run
}

type node struct {
	Name string `json:"name"`
	Ends string `json:"ends,omitempty"` // "": well; "late": after failures; "bad": it fails for good
}

var (
	step   = task.Define[node]("step", task.MaxFailures(1000), task.Wait(time.Second, task.None))
	gather = task.Define[flow.Outcome]("gather", task.MaxFailures(1000))
	begin  = task.Define[int]("begin", task.MaxFailures(1000))
	watch  = task.Define[int]("watch", task.MaxFailures(1000))
)

func (g *graph) name(kind string) string {
	g.names++
	g.left--
	return fmt.Sprint(kind, g.names)
}

// task is a task, and runs it in the model.
func (g *graph) task() (flow.Flow, func() bool) {
	n := node{Name: g.name("t")}
	switch g.rand.IntN(8) {
	case 0:
		n.Ends = "bad"
	case 1:
		n.Ends = "late"
	}
	return flow.Task(step, n), func() bool {
		if n.Ends != "bad" {
			g.want[n.Name] = true
		}
		return n.Ends != "bad"
	}
}

// chain is a chain of tasks and groups, some with an undo.
func (g *graph) chain(depth int) (flow.Flow, func() bool) {
	type stage struct {
		run   func() bool
		undo  string
		group bool
	}
	var links []flow.Flow
	var stages []stage
	for n := 1 + g.rand.IntN(4); n > 0 && g.left > 0 || len(links) == 0; n-- {
		var (
			f       flow.Flow
			s       stage
			outcome *string
		)
		if depth > 0 && g.rand.IntN(3) == 0 {
			f, s.run, outcome = g.group(depth - 1)
			s.group = true
		} else {
			f, s.run = g.task()
		}
		if g.rand.IntN(3) == 0 {
			s.undo = g.name("u")
			f = f.Undo(flow.Task(step, node{Name: s.undo}))
		}
		links, stages = append(links, f), append(stages, s)
		if s.group && g.rand.IntN(4) > 0 {
			label := g.name("j")
			links = append(links, flow.Next(gather, task.Attribute("label", label)))
			stages = append(stages, stage{run: func() bool {
				g.want[label+" "+*outcome] = true
				return true
			}})
		}
	}
	return flow.Chain(links...), func() bool {
		var undos []string
		for _, s := range stages {
			ok := s.run()
			if s.undo != "" && (ok || s.group) {
				undos = append(undos, s.undo)
			}
			if !ok {
				for _, u := range undos {
					g.want[u] = true
				}
				return false
			}
		}
		return true
	}
}

// group is a group of chains. Its run leaves what it came to in outcome.
func (g *graph) group(depth int) (f flow.Flow, run func() bool, outcome *string) {
	var members []flow.Flow
	var runs []func() bool
	for n := g.rand.IntN(5); n > 0 && g.left > 0; n-- {
		f, run := g.chain(depth)
		members, runs = append(members, f), append(runs, run)
	}
	f = flow.Group(members...)
	all := g.rand.IntN(3) == 0
	if all {
		f = f.NeedAll()
	}
	outcome = new(string)
	return f, func() bool {
		var failed []int
		for i, run := range runs {
			if !run() {
				failed = append(failed, i)
			}
		}
		*outcome = fmt.Sprint(len(runs), len(runs)-len(failed), failed)
		return !all || len(failed) == 0
	}, outcome
}

// stormOfFlows plays one random graph of up to so many nodes.
func stormOfFlows(nodes int) func(w *chassistest.World) {
	return func(w *chassistest.World) {
		g := &graph{rand: w.Rand(), left: nodes, want: map[string]bool{}}
		f, model, outcome := g.group(3)
		for g.left > nodes-5 { // it came out small
			f, model, outcome = g.group(4)
		}
		top := model()
		end := "end " + *outcome
		if !top { // NeedAll: what is behind it would not run
			f = flow.Group(f)
			end = fmt.Sprint("end ", 1, 0, []int{0})
		}
		g.want[end] = true
		f = f.Then(flow.Next(gather, task.Attribute("label", "end")))
		ended := func() bool {
			return slices.ContainsFunc(w.Effects("ran"), func(e chassistest.Effect) bool { return e.Args[0] == end })
		}
		w.Service(func(p *chassistest.Process) {
			flows, err := flow.New(p.System)
			if err != nil {
				panic(err)
			}
			chassis.Handle(p.System, step, func(ctx context.Context, job task.Job[node]) error {
				switch {
				case job.Args.Ends == "bad":
					return task.Cancel(errors.New("never"))
				case job.Args.Ends == "late" && job.Attempt <= 2:
					return errors.New("not yet")
				}
				return w.Effect(ctx, "ran", job.Args.Name, job.ExecID)
			})
			chassis.Handle(p.System, gather, func(ctx context.Context, job task.Job[flow.Outcome]) error {
				o := job.Args
				said := fmt.Sprint(*job.Extra["label"].StringValue, " ", fmt.Sprint(o.Members, o.Done, o.FailedMembers))
				return w.Effect(ctx, "ran", said, job.ExecID)
			})
			chassis.Handle(p.System, begin, func(ctx context.Context, job task.Job[int]) error {
				_, err := flows.Start(ctx, f, flow.ID(job.ExecID))
				return err
			})
			chassis.Handle(p.System, watch, func(context.Context, task.Job[int]) error {
				if !ended() { // the storm is not over while the flow's queue holds something
					return task.Snooze(20 * time.Second)
				}
				return nil
			})
		})
		chassistest.Submit(w, begin, 1)
		chassistest.Submit(w, watch, 1)
		w.Eventually("the final states are those of a sequential run", func() error {
			ran, execs := map[string]bool{}, map[string]string{}
			for _, e := range w.Effects("ran") {
				name, exec := e.Args[0].(string), e.Args[1].(string)
				label, _, _ := strings.Cut(name, " ")
				if was, known := execs[label]; known && was != exec {
					return fmt.Errorf("%s ran under two exec_ids: %s and %s", label, was, exec)
				}
				ran[name], execs[label] = true, exec
			}
			for name := range g.want {
				if !ran[name] {
					return fmt.Errorf("%s has not run", name)
				}
			}
			for name := range ran {
				if !g.want[name] {
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

// TestFlowsInAStorm plays random graphs of up to 50 nodes, and many with
// CHASSIS_SCALE=full.
func TestFlowsInAStorm(t *testing.T) {
	seeds := 4
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = 200
	}
	chassistest.Storm(t, stormOfFlows(50), chassistest.Seeds(seeds), chassistest.Kinds(kinds()...),
		chassistest.Within(24*time.Hour),
		// A start that was cut short sends its tasks again: these end once more, untouched.
		chassistest.Without(chassistest.OneEnd))
}
