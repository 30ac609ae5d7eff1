package flow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

type arg struct {
	Name string `json:"name"`
	Fail int    `json:"fail,omitempty"` // attempts that fail
}

var (
	work   = task.Define[arg]("work", task.MaxFailures(3), task.Wait(time.Second, task.None))
	undo   = task.Define[arg]("undo", task.MaxFailures(2), task.Wait(time.Second, task.None))
	joined = task.Define[flow.Outcome]("joined")
)

// book notes what ran to its end, in order.
type book struct {
	mu    sync.Mutex
	lines []string
	execs map[string]int // runs by exec_id
	jobs  map[string]bool
}

func (b *book) note(job *task.Info, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
	if b.execs == nil {
		b.execs, b.jobs = map[string]int{}, map[string]bool{}
	}
	b.execs[job.ExecID]++
	b.jobs[job.JobID+"/"+job.JobName] = true
}

func (b *book) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

func register(sys *chassis.System, b *book) {
	chassis.Handle(sys, work, func(ctx context.Context, job task.Job[arg]) error {
		if job.Attempt <= job.Args.Fail {
			return errors.New("not yet")
		}
		b.note(job.Info, "%s", job.Args.Name)
		return task.Return(ctx, arg{Name: "after " + job.Args.Name})
	})
	chassis.Handle(sys, undo, func(_ context.Context, job task.Job[arg]) error {
		if job.Attempt <= job.Args.Fail {
			return errors.New("not yet")
		}
		b.note(job.Info, "undo %s", job.Args.Name)
		return nil
	})
	chassis.Handle(sys, joined, func(_ context.Context, job task.Job[flow.Outcome]) error {
		b.note(job.Info, "joined %d of %d, failed %v", job.Args.Done, job.Args.Members, job.Args.FailedMembers)
		return nil
	})
}

func start(t *testing.T) (*chassistest.System, *flow.Flows, *book) {
	sys := chassistest.New(t)
	flows, err := flow.New(sys.System)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{}
	register(sys.System, b)
	return sys, flows, b
}

// idle runs the system until nothing is left, on the flow's queue neither.
func idle(sys *chassistest.System, flows *flow.Flows) {
	for quiet := 0; quiet < 2; {
		sys.RunUntilIdle()
		left := 0
		for _, q := range sys.Queue.Stats().Queues {
			if q.Name == flows.Queue() {
				left = q.Visible + q.InFlight + q.Delayed
			}
		}
		if quiet++; left > 0 {
			quiet = 0
		}
		time.Sleep(time.Second)
	}
}

func w(name string) flow.Flow { return flow.Task(work, arg{Name: name}) }
func bad(name string) flow.Flow {
	return flow.Task(work, arg{Name: name, Fail: 99})
}
func u(name string) flow.Flow { return flow.Task(undo, arg{Name: name}) }

func TestFlows(t *testing.T) {
	for _, c := range []struct {
		name string
		flow flow.Flow
		want string // sorted, if it begins with ~
	}{
		{"one task", w("a"), "a"},
		{"a chain", flow.Chain(w("a"), w("b"), w("c")), "a, b, c"},
		{"a retried link", flow.Chain(flow.Task(work, arg{Name: "a", Fail: 2}), w("b")), "a, b"},
		{"what one returned is the input of the next", w("a").Then(flow.Next(work)).Then(flow.Next(work)),
			"a, after a, after after a"},
		{"a failed link ends the chain", flow.Chain(w("a"), bad("b"), w("c")), "a"},
		{"a group of none", flow.Group().Then(flow.Next(joined)), "joined 0 of 0, failed []"},
		{"a group of one", flow.Group(w("a")).Then(flow.Next(joined)), "a, joined 1 of 1, failed []"},
		{"a group without a callback", flow.Group(w("a"), w("b")), "~a, b"},
		{"a failed member", flow.Group(w("a"), bad("b"), w("c")).Then(flow.Next(joined)),
			"~a, c, joined 2 of 3, failed [1]"},
		{"all are needed", flow.Chain(w("x").Undo(u("x")), flow.Group(w("a"), bad("b")).NeedAll(), w("c")),
			"~a, undo x, x"},
		{"a callback with its own arguments", flow.Group(w("a")).Then(w("b")), "a, b"},
		{"a chain of groups", flow.Chain(flow.Group(w("a"), w("b")), flow.Group(flow.Next(joined), w("c")), flow.Next(joined)),
			"~a, b, c, joined 2 of 2, failed [], joined 2 of 2, failed []"},
		{"a member that is a chain", flow.Group(flow.Chain(w("a"), w("b")), flow.Chain(w("c"), bad("d"), w("e"))).
			Then(flow.Next(joined)), "~a, b, c, joined 1 of 2, failed [1]"},
		{"a member that is a group", flow.Group(flow.Group(w("a"), bad("b")), flow.Group(w("c"), bad("d")).NeedAll(), w("e"),
			flow.Group()).Then(flow.Next(joined)), "~a, c, e, joined 3 of 4, failed [1]"},
		{"a saga", flow.Saga(w("a").Undo(u("a")), w("b").Undo(flow.Next(undo)), w("c"), w("d").Undo(u("d")), bad("e"), w("f")),
			"a, b, c, d, undo d, undo after b, undo a"},
		{"a saga that is done", flow.Saga(w("a").Undo(u("a")), w("b")), "a, b"},
		{"an undo that fails", flow.Saga(w("a").Undo(u("a")), w("b").Undo(flow.Task(undo, arg{Name: "b", Fail: 99})), bad("c")),
			"a, b, undo a"},
		{"the undo of a group", flow.Saga(w("a").Undo(u("a")), flow.Group(w("b"), bad("c")).NeedAll().Undo(u("g"))),
			"a, b, undo g, undo a"},
		{"a saga in a group", flow.Group(flow.Saga(w("a").Undo(u("a")), bad("b"))).Then(flow.Next(joined)),
			"a, undo a, joined 0 of 1, failed [0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, flows, b := start(t)
				id, err := flows.Start(t.Context(), c.flow)
				if err != nil {
					t.Fatal(err)
				}
				idle(sys, flows)
				got := b.all()
				want, sorted := strings.CutPrefix(c.want, "~")
				if sorted {
					slices.Sort(got)
				}
				if strings.Join(got, ", ") != want {
					t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
				}
				for job := range b.jobs {
					if job != id+"/flow" {
						t.Errorf("a task of job %s, want %s", job, id)
					}
				}
				for exec, n := range b.execs {
					if n != 1 {
						t.Errorf("%s ran %d times", exec, n)
					}
				}
			})
		})
	}
}
