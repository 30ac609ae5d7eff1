package systemtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// census counts what runs of each tenant at once, in all processes that live.
type census struct {
	mu     sync.Mutex
	inside map[string]map[*chassistest.Process]int
	most   map[string]int
	all    int
	peak   int
}

func newCensus() *census {
	return &census{inside: map[string]map[*chassistest.Process]int{}, most: map[string]int{}}
}

// begins counts a run, and forgets what ran in the lives before of any process.
func (c *census) begins(p *chassistest.Process, tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[tenant] == nil {
		c.inside[tenant] = map[*chassistest.Process]int{}
	}
	c.inside[tenant][p]++
	n := 0
	for _, here := range c.inside[tenant] {
		n += here
	}
	c.most[tenant] = max(c.most[tenant], n)
	c.all++
	c.peak = max(c.peak, c.all)
}

func (c *census) ends(p *chassistest.Process, tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside[tenant][p]--
	c.all--
}

// killedEachSecond is a schedule of a fleet of eight, in which each second one process dies.
func killedEachSecond(seed uint64, seconds int) chassistest.Schedule {
	s := chassistest.Schedule{Seed: seed, Fleet: 8}
	for i := range seconds {
		s.Faults = append(s.Faults, chassistest.Fault{Kind: chassistest.DrainDie, Process: 1 + i%s.Fleet,
			At: time.Duration(i+2) * time.Second, For: time.Millisecond, Back: 2 * time.Second})
	}
	return s
}

// TestNeverAFourthOfATenant: eight processes, of which one is killed each second, and 100
// tenants with at most three executions each at once. No task is lost. Two thirds of the
// messages come by senders that know another limit, or none.
func TestNeverAFourthOfATenant(t *testing.T) {
	seeds, tenants, each := 1, 100, 6
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds, each = 20, 12
	}
	def := task.Define[int]("work", task.MaxFailures(20), task.TenantOf(func(n int) string { return fmt.Sprint("tenant-", n%tenants) }))
	for seed := range seeds {
		in := newCensus()
		ended := map[string]bool{}
		chassistest.Replay(t, killedEachSecond(uint64(seed+1), 20), func(w *chassistest.World) {
			w.Service(func(p *chassistest.Process) {
				chassis.Handle(p.System, def, func(ctx context.Context, job task.Job[int]) error {
					in.begins(p, job.Tenant)
					defer in.ends(p, job.Tenant)
					time.Sleep(time.Duration(200+job.Args%7*100) * time.Millisecond)
					if ctx.Err() == nil {
						in.mu.Lock()
						ended[job.ExecID] = true
						in.mu.Unlock()
					}
					return ctx.Err()
				})
			})
			for i := range tenants * each {
				tenant, id := fmt.Sprint("tenant-", i%tenants), fmt.Sprint("exec-", i)
				group := []string{task.GroupOfTenant(tenant, id, 3), id, task.GroupOfTenant(tenant, id, 10)}[i/tenants%3]
				chassistest.SubmitAt(w, time.Duration(i%20)*time.Second/2, def, i, task.Tenant(tenant), task.ExecID(id),
					task.Group(group))
			}
			w.Eventually("never a fourth of a tenant", func() error {
				three := 0
				for tenant, n := range in.most {
					if n > 3 {
						return fmt.Errorf("%s had %d executions at once", tenant, n)
					}
					if n == 3 {
						three++
					}
				}
				if three == 0 {
					return fmt.Errorf("no tenant of %d had three at once: nothing was tried", len(in.most))
				}
				return nil
			})
			w.Eventually("none is lost", func() error {
				if len(ended) != tenants*each {
					return fmt.Errorf("%d of %d tasks have ended well", len(ended), tenants*each)
				}
				return nil
			})
		}, chassistest.Without(chassistest.InOrder), chassistest.Tune(func(s *chassis.Settings) {
			s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers = "work.fifo", 40, 1
			s.Tasks.Limits = dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: 3}}
		}))
		t.Logf("seed %d: at most %d executions at once in all", seed+1, in.peak)
	}
}

// TestALimitThatCannotBeKeptIsRefused at the start, and at the send.
func TestALimitThatCannotBeKeptIsRefused(t *testing.T) {
	limits := dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: 3}}
	for pool, want := range map[string]string{"mails": "tasks.limits.tenant.running is 3, and the pool \"mails\"", "mails.fifo": ""} {
		set := chassis.DefaultSettings().Tasks
		set.TaskPool, set.Limits = pool, limits
		if err := set.Check(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", pool, err)
		}
		set.TaskPool, set.Limits = "other", dispatcher.Limits{}
		set.Pools = map[string]chassis.PoolSettings{pool: {Limits: limits}}
		want = strings.Replace(want, "tasks.", "tasks.pools.mails.", 1)
		if err := set.Check(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("further pool %s: %v", pool, err)
		}
	}
}

// TestADeadLetterOfATenantComesBack to the message groups of its tenant.
func TestADeadLetterOfATenantComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.TaskPool = "mails.fifo"
			s.Tasks.Limits = dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: 5}}
		}))
		by := task.Define[string]("mail", task.MaxFailures(1), task.TenantOf(func(to string) string { return to }))
		var fails atomic.Bool
		fails.Store(true)
		var mu sync.Mutex // guards ran: five run at once
		var ran []string
		chassis.Handle(sys.System, by, func(_ context.Context, job task.Job[string]) error {
			if fails.Load() {
				return errors.New("no")
			}
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, job.Tenant)
			return nil
		})
		_, err := sys.Send(t.Context(), "mail", "acme", task.Group("g"))
		if err == nil || !strings.Contains(err.Error(), "leave out task.Group") {
			t.Errorf("a group beside a limited tenant: %v", err)
		}
		for i := range 20 {
			if i%2 == 0 {
				_, err = sys.Send(t.Context(), "mail", "acme")
			} else {
				_, err = sys.Send(t.Context(), "mail", json.RawMessage(`"acme"`))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		sys.RunUntilIdle()
		for letter, err := range sys.DeadLetters(t.Context()) {
			if err != nil {
				break // the letters of a group come ten at a time
			}
			if letter.Tenant != "acme" {
				t.Errorf("a dead letter of %q", letter.Tenant)
			}
			fails.Store(false)
			if err := letter.SendBack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sys.RunUntilIdle()
		mu.Lock()
		defer mu.Unlock()
		if len(ran) != 20 {
			t.Errorf("%d of 20 ran after their return", len(ran))
		}
		for _, tenant := range ran {
			if tenant != "acme" {
				t.Errorf("one ran for %q", tenant)
			}
		}
	})
}

// TestARateOfATenantInEverySecond: three processes, and a backlog of two tenants with 10
// starts a second each. Deploys and deaths may leave slots unused, and use none twice.
func TestARateOfATenantInEverySecond(t *testing.T) {
	const seconds, rate = 30, 10
	for _, c := range []struct {
		name   string
		took   time.Duration
		faults []chassistest.Fault
	}{
		{"short tasks", 20 * time.Millisecond, nil},
		{"as long as a slot", 290 * time.Millisecond, nil},
		{"deploys", 20 * time.Millisecond, []chassistest.Fault{
			{Kind: chassistest.Deploy, Process: 1, At: 8 * time.Second, Back: time.Second},
			{Kind: chassistest.Deploy, Process: 2, At: 13 * time.Second, Back: time.Second}}},
		{"deaths", 20 * time.Millisecond, killedEachSecond(1, 12).Faults[3:6]},
	} {
		t.Run(c.name, func(t *testing.T) {
			starts := map[string][]time.Duration{}
			var mu sync.Mutex
			def := task.Define[int]("call", task.MaxFailures(20))
			chassistest.Replay(t, chassistest.Schedule{Seed: 1, Fleet: 8, Faults: c.faults}, func(w *chassistest.World) {
				w.Service(func(p *chassistest.Process) {
					chassis.Handle(p.System, def, func(ctx context.Context, job task.Job[int]) error {
						mu.Lock()
						starts[job.Tenant] = append(starts[job.Tenant], w.Now())
						mu.Unlock()
						time.Sleep(c.took)
						return ctx.Err()
					})
				})
				for i := range 2 * seconds * rate {
					tenant, id := fmt.Sprint("tenant-", i%2), fmt.Sprint("exec-", i)
					chassistest.SubmitAt(w, 0, def, i, task.Tenant(tenant), task.ExecID(id),
						task.Group(task.GroupOfTenant(tenant, id, 3)))
				}
			}, chassistest.Tune(func(s *chassis.Settings) {
				s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers = "calls.fifo", 10, 1
				s.Tasks.Limits.Tenant = dispatcher.TenantLimits{Running: 3,
					Rate: dispatcher.Rate{Count: rate, Per: time.Second}}
			}))
			for tenant, list := range starts {
				if len(list) < seconds*rate {
					t.Errorf("%s: %d starts of %d", tenant, len(list), seconds*rate)
				}
				inSecond := map[int]int{}
				for _, at := range list {
					inSecond[int(at/time.Second)]++
				}
				line := ""
				for s := range int(list[len(list)-1]/time.Second) + 1 {
					n := inSecond[s]
					line += fmt.Sprint(n, " ")
					if n > rate {
						t.Errorf("%s: %d starts in second %d", tenant, n, s)
					}
					if c.faults == nil && s > 2 && s < 25 && n != rate {
						t.Errorf("%s: %d starts in second %d", tenant, n, s)
					}
				}
				t.Logf("%s: %s", tenant, line)
			}
		})
	}
}

// TestADeployThatChangesALimit: while processes with the old and the new number run together,
// no more than the greater of the two runs, and with the old ones gone no more than the new.
func TestADeployThatChangesALimit(t *testing.T) {
	for _, c := range []struct{ before, after int }{{3, 5}, {5, 2}} {
		synctest.Test(t, func(t *testing.T) {
			def := task.Define[int]("work", task.TenantOf(func(int) string { return "acme" }))
			var mu sync.Mutex
			now, most := 0, 0
			service := func(running int, beside ...chassistest.Option) *chassistest.System {
				sys := chassistest.New(t, append(beside, chassistest.Settings(func(s *chassis.Settings) {
					s.Log.Level = "warning"
					s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.MaxWorkers = "work.fifo", 20, 1
					s.Tasks.Limits.Tenant.Running = running
				}))...)
				chassis.Handle(sys.System, def, func(context.Context, task.Job[int]) error {
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(100 * time.Millisecond)
					mu.Lock()
					now--
					mu.Unlock()
					return nil
				})
				return sys
			}
			old := service(c.before)
			next := service(c.after, chassistest.Beside(old))
			for i := range 100 {
				chassistest.Send(old, def, i)
				chassistest.Send(next, def, i)
			}
			if err := errors.Join(old.Start(t.Context()), next.Start(t.Context())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			mu.Lock()
			if most > max(c.before, c.after) || most < min(c.before, c.after) {
				t.Errorf("%d and %d together: %d at once", c.before, c.after, most)
			}
			mu.Unlock()
			if err := old.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			most = now
			mu.Unlock()
			next.RunUntilIdle()
			mu.Lock()
			defer mu.Unlock()
			if most > c.after {
				t.Errorf("%d after %d: %d at once, with the old process gone", c.after, c.before, most)
			}
		})
	}
}
