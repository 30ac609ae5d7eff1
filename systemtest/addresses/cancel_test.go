package addresses_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

var (
	export = task.Define[int]("export", task.OnFail("mourn"), task.Wait(10*time.Second, task.None))
	mourn  = task.Define[int]("mourn")
)

// ends notes how the attempts of export ended, by their numbers.
type ends struct {
	mu    sync.Mutex
	cause map[int]error
	runs  map[int]int
	grief int
}

// exports handles export: an attempt lasts until its ctx ends, or ten minutes.
func (e *ends) handle(sys *chassistest.System) {
	chassis.Handle(sys.System, export, func(ctx context.Context, job task.Job[int]) error {
		e.mu.Lock()
		e.runs[job.Args]++
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			e.mu.Lock()
			e.cause[job.Args] = context.Cause(ctx)
			e.mu.Unlock()
			return ctx.Err()
		case <-time.After(10 * time.Minute):
			return nil
		}
	})
	chassis.Handle(sys.System, mourn, func(context.Context, task.Job[int]) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.grief++
		return nil
	})
}

func newEnds() *ends { return &ends{cause: map[int]error{}, runs: map[int]int{}} }

func reachable(s *chassis.Settings) { s.Tasks.Notices = true }

func TestCancelHere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, e := service(t, nil, nil), newEnds()
		e.handle(sys)
		start(t, sys)
		asked := make(chan error, 1)
		go func() {
			_, err := chassis.Ask[int](context.Background(), sys.System, export, 1, task.ExecID("one"))
			asked <- err
		}()
		pass(time.Second)
		known, err := sys.Cancel(t.Context(), "one")
		if err != nil || known != (chassis.Cancelled{Here: 1}) {
			t.Errorf("%+v, %v", known, err)
		}
		if err := <-asked; !errors.Is(err, task.ErrCancelled) {
			t.Errorf("its asker: %v", err)
		}
		pass(time.Minute)
		if !errors.Is(e.cause[1], task.ErrCancelled) || errors.Is(e.cause[1], dispatcher.ErrCancelled) {
			t.Errorf("the cause is %v", e.cause[1])
		}
		if e.grief != 0 {
			t.Error("its on_fail task was sent")
		}
		if o := sys.Outcome("one"); o.State != chassistest.Cancelled || o.Failures != 0 {
			t.Errorf("%+v", o)
		}
		sys.AssertNoneDead()
		if _, err := sys.Cancel(t.Context(), "two"); !errors.Is(err, addresses.ErrNobody) {
			t.Errorf("one that is nowhere, where nobody takes notices: %v", err)
		}
		if _, err := sys.Cancel(t.Context(), ""); err == nil {
			t.Error("no exec_id means all")
		}
	})
}

// One that waits in place, one that waits on the queue, and one that runs are cancelled from
// a process that has none of them, within five seconds.
func TestCancelFromElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker, e := service(t, nil, reachable), newEnds()
		e.handle(worker)
		flaky := task.Define[int]("flaky", task.Wait(20*time.Second, task.None))
		chassis.Handle(worker.System, flaky, func(context.Context, task.Job[int]) error { return errors.New("no") })
		other := service(t, []*chassistest.System{worker}, nil)
		quotes(other.System) // it takes tasks, and so could run some of them: it is started after they have come
		start(t, worker)
		chassistest.Send(worker, export, 1, task.ExecID("runs"))
		chassistest.Send(worker, flaky, 2, task.ExecID("waits"))
		chassistest.Send(worker, export, 3, task.ExecID("comes"), task.At(time.Now().Add(40*time.Minute)))
		chassistest.Send(worker, export, 4, task.ExecID("stays"))
		pass(10 * time.Second)
		sender := chassistest.New(t, chassistest.Beside(worker), chassistest.Name("sender"), chassistest.Settings(
			func(s *chassis.Settings) { s.Tasks.TaskPool = pool }))
		start(t, sender)
		for _, id := range []string{"runs", "waits", "comes"} {
			if known, err := sender.Cancel(t.Context(), id); err != nil || known != (chassis.Cancelled{Posted: 1}) {
				t.Errorf("%s: %+v, %v", id, known, err)
			}
		}
		pass(5 * time.Second)
		for _, id := range []string{"runs", "waits"} {
			if o := worker.Outcome(id); o.State != chassistest.Cancelled {
				t.Errorf("%+v", o)
			}
		}
		pass(time.Hour)
		if o := worker.Outcome("comes"); o.State != chassistest.Cancelled || len(o.Started) > 0 {
			t.Errorf("%+v", o)
		}
		if o := worker.Outcome("stays"); o.State != chassistest.Succeeded {
			t.Errorf("%+v", o)
		}
		if e.grief != 0 {
			t.Error("an on_fail task was sent")
		}
		worker.AssertNoneDead()
	})
}

// A process that begins after a cancel has it from the others: the message may come to it.
func TestANewProcessKnowsTheCancelsOfBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := service(t, nil, reachable)
		quotes(first.System)
		start(t, first)
		chassistest.Send(first, quote, item{"tea"}, task.ExecID("late"), task.Delay(10*time.Minute))
		pass(5 * time.Second)
		if known, err := first.Cancel(t.Context(), "late"); !errors.Is(err, addresses.ErrNobody) || known.Here != 0 {
			t.Errorf("%+v, %v", known, err) // it is alone, and remembers it itself
		}
		second := service(t, []*chassistest.System{first}, reachable)
		quotes(second.System)
		start(t, second)
		pass(time.Minute)
		if err := first.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		pass(15 * time.Minute)
		if o := second.Outcome("late"); o.State != chassistest.Cancelled {
			t.Errorf("%+v", o)
		}
	})
}

// Ten processes, a thousand executions: what an eleventh cancels at random ends within five
// seconds, and none else. A hundred callers do it at the same time.
func TestCancelsOfAFleet(t *testing.T) {
	processes, executions := 10, 200
	if os.Getenv("CHASSIS_SCALE") == "full" {
		executions = 1000
	}
	bubble(t, func(t *testing.T) {
		e := newEnds()
		var fleet []*chassistest.System
		for range processes {
			sys := service(t, fleet, func(s *chassis.Settings) {
				s.Tasks.Notices, s.Tasks.Workers, s.Tasks.MaxWorkers = true, 2*executions/processes, 2*executions/processes
				s.Log.Level = "error"
			})
			e.handle(sys)
			fleet = append(fleet, sys)
		}
		start(t, fleet...)
		args := make([]int, 2*executions)
		for i := range args {
			args[i] = i
		}
		sent, err := chassis.SendMany(t.Context(), fleet[0].System, export, args)
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if len(e.runs) != len(args) {
			t.Fatalf("%d of %d executions run", len(e.runs), len(args))
		}
		sender := chassistest.New(t, chassistest.Beside(fleet[0]), chassistest.Name("sender"), chassistest.Settings(
			func(s *chassis.Settings) { s.Tasks.TaskPool = pool }))
		start(t, sender)
		begun := time.Now()
		chosen := rand.New(rand.NewPCG(1, 2)).Perm(len(args))[:executions] //nolint:gosec // a choice
		cancelled := map[int]bool{}
		var work sync.WaitGroup
		next := make(chan int, executions)
		for _, i := range chosen {
			cancelled[i] = true
			next <- i
		}
		close(next)
		for range 100 {
			work.Go(func() {
				for i := range next {
					if known, err := sender.Cancel(t.Context(), sent[i].ExecID); err != nil || known.Posted != processes {
						t.Errorf("%+v, %v", known, err)
					}
				}
			})
		}
		work.Wait()
		pass(max(0, 5*time.Second-time.Since(begun)))
		if len(e.cause) != executions {
			t.Errorf("%d of %d have ended", len(e.cause), executions)
		}
		for i, cause := range e.cause {
			if !cancelled[i] || !errors.Is(cause, task.ErrCancelled) {
				t.Errorf("execution %d has ended by %v", i, cause)
			}
		}
		pass(15 * time.Minute)
		for i, n := range e.runs {
			if n != 1 {
				t.Errorf("execution %d has run %d times", i, n)
			}
		}
		succeeded := 0
		for _, sys := range fleet {
			for _, o := range sys.Outcomes() {
				if o.State == chassistest.Succeeded {
					succeeded++
				}
			}
		}
		if succeeded != executions || e.grief != 0 {
			t.Errorf("%d of %d others have succeeded, %d on_fail tasks", succeeded, executions, e.grief)
		}
	})
}

// An operator's cancel leaves a dead letter, wherever the execution is; a snooze runs it
// again.
func TestOrdersOfAnOperatorGoElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker := service(t, nil, reachable)
		slow := task.Define[int]("slow")
		chassis.Handle(worker.System, slow, func(ctx context.Context, job task.Job[int]) error {
			<-ctx.Done()
			return ctx.Err()
		})
		start(t, worker)
		sender := service(t, []*chassistest.System{worker}, nil)
		start(t, sender)
		chassistest.Send(worker, slow, 1, task.ExecID("keep"))
		chassistest.Send(worker, slow, 2, task.ExecID("nap"))
		pass(time.Second)
		if _, err := sender.Pools()[0].Order(t.Context(), task.Notice{ExecID: "keep", Reason: "by dieter\n\x00é", Keep: true}); err != nil {
			t.Error(err)
		}
		if _, err := sender.Pools()[0].Order(t.Context(), task.Notice{ExecID: "nap", Snooze: 1e300}); err != nil {
			t.Error(err)
		}
		pass(5 * time.Second)
		worker.AssertGivenUp("keep", task.ReasonCancelled)
		dead := 0
		for d, err := range worker.DeadLetters(t.Context()) {
			if err != nil {
				t.Error(err)
				continue
			}
			if dead++; !strings.Contains(d.LastError, "by dieter") || !strings.Contains(d.LastError, "é") { // its letters arrive
				t.Errorf("%+v", d)
			}
		}
		if o := worker.Outcome("nap"); dead != 1 || o.State != chassistest.Pending || o.Failures != 0 {
			t.Errorf("%d dead letters, %+v", dead, o)
		}
		if _, err := worker.Cancel(t.Context(), "nap"); !errors.Is(err, addresses.ErrNobody) {
			t.Errorf("%v", err) // it is on the queue, as a copy, and this process remembers its cancel
		}
	})
}
