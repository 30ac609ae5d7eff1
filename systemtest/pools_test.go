package systemtest_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

// several is a system of as many pools as weights: p0 is that of tasks.task_pool.
// They share total executions at once, which each could use up alone.
func several(t *testing.T, total int, weights ...int) *chassistest.System {
	return chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
		s.Log.Level = "warning"
		s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers = "p0", max(total, 10), 1
		s.Tasks.TotalWorkers, s.Tasks.Weight = total, weights[0]
		s.Tasks.Pools = map[string]chassis.PoolSettings{}
		for i, w := range weights[1:] {
			s.Tasks.Pools[fmt.Sprint("p", i+1)] = chassis.PoolSettings{Weight: w}
		}
	}))
}

var nap = task.Define[int]("nap") // of so many milliseconds

func handleNaps(sys *chassistest.System) {
	chassis.Handle(sys.System, nap, func(_ context.Context, job task.Job[int]) error {
		time.Sleep(time.Duration(job.Args) * time.Millisecond)
		return nil
	})
}

func sendNaps(t *testing.T, sys *chassistest.System, pool string, n, ms int) {
	t.Helper()
	many := make([]chassis.Task, n)
	for i := range many {
		many[i] = chassis.Task{Name: "nap", Args: ms, Options: []task.Option{task.Pool(pool)}}
	}
	if _, err := sys.SendMany(t.Context(), many); err != nil {
		t.Fatal(err)
	}
}

// starts counts the first n starts by pool.
func starts(events *dispatcher.Subscription, n int) map[string]int {
	count := map[string]int{}
	for n > 0 {
		if e := <-events.C; e.Kind == dispatcher.Started {
			count[e.Pool]++
			n--
		}
	}
	return count
}

func TestBackloggedPoolsStartTasksByTheirWeights(t *testing.T) {
	for _, c := range []struct {
		total   int
		weights []int
		ms      int
	}{
		{10, []int{9, 1}, 100},
		{10, []int{1, 1}, 100},
		{2, []int{9, 1}, 100}, // less than one slot for the lesser
		{20, []int{10, 4, 3, 2, 1}, 100},
		{40, []int{1, 1, 1, 1, 36}, 250},
	} {
		t.Run(fmt.Sprintf("%d for %v", c.total, c.weights), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const all = 1000
				sys, sum := several(t, c.total, c.weights...), 0
				handleNaps(sys)
				for i, w := range c.weights {
					sendNaps(t, sys, fmt.Sprint("p", i), all+2*c.total+100, c.ms)
					sum += w
				}
				events := sys.Tasks().Events(10_000)
				defer events.Close()
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				starts(events, 2*c.total) // while some are here and some are not
				began := time.Now()
				count := starts(events, all)
				took := time.Since(began)
				for i, w := range c.weights {
					want := float64(all*w) / float64(sum)
					if got := float64(count[fmt.Sprint("p", i)]); math.Abs(got-want) > 0.1*want+3 {
						t.Errorf("p%d of weight %d started %v of %d: want %.0f; all: %v", i, w, got, all, want, count)
					}
				}
				if ideal := time.Duration(all/c.total) * time.Duration(c.ms) * time.Millisecond; took > ideal*11/10 {
					t.Errorf("%d starts took %v: %v with no slot idle", all, took, ideal)
				}
				t.Log(count, took)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_ = sys.Stop(ctx) // cut short: the rest goes back
			})
		})
	}
}

// TestAnIdlePoolsShareIsLentAndComesBack: a pool without work leaves its share
// to the others, and has it back one task's length after its work comes.
func TestAnIdlePoolsShareIsLentAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 10, 1, 9)
		handleNaps(sys)
		sendNaps(t, sys, "p0", 500, 1000)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		running := func() [2]int64 {
			synctest.Wait()
			return [2]int64{sys.Pools()[0].Tasks().Stats().Running, sys.Pools()[1].Tasks().Stats().Running}
		}
		time.Sleep(5500 * time.Millisecond)
		if got := running(); got != [2]int64{10, 0} {
			t.Fatalf("running %v while p1 is idle: want 10 and 0", got)
		}
		sendNaps(t, sys, "p1", 500, 1000)
		time.Sleep(1300 * time.Millisecond) // one task, and a receive
		if got := running(); got[1] < 9 {
			t.Fatalf("running %v once p1 has work: want its share of 9", got)
		}
		time.Sleep(time.Second)
		if got := running(); got[0] < 1 || got[0] > 2 || got[0]+got[1] != 10 {
			t.Fatalf("running %v while both have work: want about 1 and 9", got)
		}
		if s := sys.Shares(); s.Limit != 10 || s.Held != 10 || s.Pools[1].Share != 9 || s.Pools[1].Held < 8 {
			t.Errorf("the shares say %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = sys.Stop(ctx)
	})
}

func TestAPoolOfHigherPriorityLeavesNothingToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers, s.Tasks.TotalWorkers = "p0", 4, 1, 4
			s.Tasks.Pools = map[string]chassis.PoolSettings{"urgent": {Priority: 1}}
		}))
		handleNaps(sys)
		sendNaps(t, sys, "p0", 100, 100)
		sendNaps(t, sys, "urgent", 100, 100)
		events := sys.Tasks().Events(10_000)
		defer events.Close()
		sys.RunUntilIdle()
		if count := starts(events, 100); count["urgent"] < 90 { // the first were taken before those of the urgent were here
			t.Errorf("of the first 100 starts %v", count)
		}
	})
}

// TestATasksConcurrencyIsOfTheProcess: it bounds the runs in all pools together.
func TestATasksConcurrencyIsOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 0, 1, 1)
		var now, most atomic.Int32
		narrow := task.Define[int]("narrow", task.Concurrency(3))
		chassis.Handle(sys.System, narrow, func(context.Context, task.Job[int]) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(time.Second)
			return nil
		})
		for range 15 {
			chassistest.Send(sys, narrow, 0)
			chassistest.Send(sys, narrow, 0, task.Pool("p1"))
		}
		began := time.Now()
		sys.RunUntilIdle()
		if most.Load() != 3 {
			t.Errorf("%d ran at once: want 3", most.Load())
		}
		if took := time.Since(began); took > 14*time.Second {
			t.Errorf("30 tasks of 1 s, 3 at once, took %v", took)
		}
	})
}

// TestTwoPoolsRunTheirSuspectsOneAfterTheOther: in one process a crash ends both,
// so only one of them runs at a time. Healthy work goes on in both pools.
func TestTwoPoolsRunTheirSuspectsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 10, 1, 1)
		var now, most, beside atomic.Int32
		chassis.Handle(sys.System, nap, func(_ context.Context, job task.Job[int]) error {
			if job.Args == 777 {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(5 * time.Second)
				now.Add(-1)
				return nil
			}
			if now.Load() > 0 {
				beside.Add(1)
			}
			time.Sleep(time.Duration(job.Args) * time.Millisecond)
			return nil
		})
		var suspects []string
		for _, pool := range []string{"p0", "p1"} {
			suspects = append(suspects, chassistest.Send(sys, nap, 777, task.Pool(pool)))
			killed(t, sys, pool)
			killed(t, sys, pool)
		}
		sendNaps(t, sys, "p1", 200, 500)
		sys.RunUntilIdle()
		for _, id := range suspects {
			sys.AssertSucceeded(id)
		}
		if most.Load() != 1 || beside.Load() == 0 {
			t.Errorf("%d suspects at once, %d healthy executions meanwhile", most.Load(), beside.Load())
		}
	})
}

// killed receives a message as a process does that dies of it.
func killed(t *testing.T, sys *chassistest.System, pool string) {
	t.Helper()
	url, err := sys.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &pool})
	if err != nil {
		t.Fatal(err)
	}
	out, err := sys.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, VisibilityTimeout: 120})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("received %v, %v", out, err)
	}
	time.Sleep(121 * time.Second)
}

func TestATaskGoesToThePoolOfItsDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 0, 1, 1)
		home := task.Define[int]("home", task.InPool("p1"), task.OnFail("sorry"), task.MaxFailures(1))
		chassis.Handle(sys.System, home, func(context.Context, task.Job[int]) error { return fmt.Errorf("no") })
		chassis.Handle(sys.System, task.Define[int]("sorry"), func(context.Context, task.Job[int]) error { return nil })
		events := sys.Tasks().Events(100)
		defer events.Close()
		chassistest.Send(sys, home, 1)
		if _, err := sys.Send(t.Context(), "home", 1); err != nil {
			t.Fatal(err)
		}
		chassistest.Send(sys, home, 1, task.Pool("p0"))
		if _, err := sys.Send(t.Context(), "nobody", 1, task.Pool("p1")); err == nil {
			t.Error("a name that is not registered goes to a pool of the system's own")
		}
		sys.RunUntilIdle()
		got := map[string]int{}
		for len(events.C) > 0 {
			if e := <-events.C; e.Kind == dispatcher.Started {
				got[e.Task+" in "+e.Pool]++
			}
		}
		want := map[string]int{"home in p1": 2, "home in p0": 1, "sorry in p1": 2, "sorry in p0": 1}
		if !maps.Equal(got, want) {
			t.Errorf("ran %v: want %v", got, want)
		}
	})
}

func TestOperatorsReachEveryPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 0, 1, 1)
		chassis.Handle(sys.System, task.Define[int]("hang", task.MaxFailures(1)), func(ctx context.Context, _ task.Job[int]) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, _ := sys.Send(t.Context(), "hang", 1)
		b, _ := sys.Send(t.Context(), "hang", 1, task.Pool("p1"))
		sys.WaitFor(a, dispatcher.Started)
		sys.WaitFor(b, dispatcher.Started)
		c := sys.Control()
		list, err := c.Inspect(t.Context(), "", 10)
		if err != nil || list.Total != 2 || list.List[0].Pool == list.List[1].Pool {
			t.Fatalf("inspect gives %+v, %v", list, err)
		}
		for _, id := range []string{a, b} {
			if n, err := c.CancelExecution(t.Context(), id, "enough"); n != 1 || err != nil {
				t.Errorf("cancel found %d, %v", n, err)
			}
		}
		if _, err := c.CancelExecution(t.Context(), "nobody", ""); err == nil {
			t.Error("an execution that is not there is cancelled")
		}
		if err := c.Pause(t.Context(), ""); err != nil || !sys.Tasks().Stats().Paused {
			t.Errorf("pause: %v", err)
		}
		if err := sys.Pools()[0].Control().Resume(t.Context(), ""); err != nil || sys.Tasks().Stats().Paused || !sys.Pools()[1].Tasks().Stats().Paused {
			t.Errorf("one pool is to be resumed, the other paused: %v", err)
		}
		if err := c.Resume(t.Context(), ""); err != nil {
			t.Error(err)
		}
		sys.RunUntilIdle()
		var dead []string
		for d, err := range sys.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			dead = append(dead, d.Pool+" "+d.Reason)
			if err := d.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if slices.Sort(dead); !slices.Equal(dead, []string{"p0 cancelled", "p1 cancelled"}) {
			t.Errorf("dead letters: %v", dead)
		}
		if r := sys.Ready(t.Context()); !r.OK() {
			t.Errorf("not ready: %v", r.Reasons)
		}
	})
}

func TestSettingsOfPoolsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"the pool itself":       {"pools: {a: {}}", `the queue "a" is tasks itself and tasks.pools.a itself`},
		"twice in the file":     {"pools: {b: {}, b: {}}", "b"},
		"a dead-letter pool":    {"pools: {a_dead: {}}", `the queue "a_dead" is the dead letters of tasks and tasks.pools.a_dead itself`},
		"dead letters shared":   {"pools: {b: {dead_letter_pool: a_dead}}", "a_dead"},
		"weight below 0":        {"pools: {b: {weight: -1}}", "weight"},
		"weight NaN":            {"pools: {b: {weight: .nan}}", "weight"},
		"weight a fraction":     {"pools: {b: {weight: 0.5}}", "weight"},
		"weight too great":      {"pools: {b: {weight: 1001}}", "weight"},
		"weight of tasks":       {"weight: -1", "weight"},
		"workers below 0":       {"pools: {b: {workers: -3}}", "workers"},
		"total below 0":         {"total_workers: -1", "total_workers"},
		"upper case":            {"pools: {Bulk: {}}", `the name "Bulk" is not all lower case`},
		"no queue's name":       {"pools: {'b b': {}}", "tasks.pools.b b"},
		"no name":               {"pools: {'': {}}", "tasks.pools."},
		"an unknown key":        {"pools: {b: {wieght: 3}}", "weight"},
		"a lease of a day":      {"pools: {b: {task_timeout: 24h}}", "task_timeout"},
		"pools is no section":   {"pools: 3", "pools"},
		"a pool is a number":    {"pools: {b: 3}", "pools.b"},
		"priority out of range": {"priority: 100000", "priority"},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, err := chassis.LoadSettings(settings.Bytes("x.yaml", settings.YAML, []byte("tasks: {task_pool: a, "+c.yaml+"}")))
			if err == nil {
				_, err = chassis.New("x", chassis.WithSettings(loaded), chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: want an error that has %q, got %v", c.yaml, c.want, err)
			}
		})
	}
}

func TestTasksThatDoNotFitThePools(t *testing.T) {
	for name, c := range map[string]struct {
		policy task.Policy
		want   string
	}{
		"at home in a pool of others": {task.InPool("elsewhere"), "tasks.pools"},
		"at home nowhere":             {task.InPool(""), "InPool"},
		"on_fail of nobody":           {task.OnFail("nobody"), `its on_fail "nobody" is not registered`},
		"on_fail of nobody in ours":   {task.OnFailIn("p1", "nobody"), `its on_fail "nobody" is not registered`},
		"on_fail in no queue":         {task.OnFailIn("no queue", "x"), "the pool of its on_fail"},
	} {
		t.Run(name, func(t *testing.T) {
			sys := several(t, 0, 1, 1)
			chassis.Handle(sys.System, task.Define[int]("x", c.policy), func(context.Context, task.Job[int]) error { return nil })
			if err := sys.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error that has %q, got %v", c.want, err)
			}
		})
	}
	sys := several(t, 0, 1, 1)
	chassis.Handle(sys.System, task.Define[int]("x", task.OnFailIn("elsewhere", "theirs")), func(context.Context, task.Job[int]) error { return nil })
	if err := sys.Start(t.Context()); err != nil {
		t.Errorf("an on_fail of another service: %v", err)
	}
}
