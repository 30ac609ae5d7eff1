package tasks_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// behindMail makes a service with a task behind the mail service, and what it calls.
func behindMail(t *testing.T, policies []task.Policy, change ...func(*chassis.Settings)) (*chassistest.System, *breaker.Breaker, *remote) {
	t.Helper()
	sys, mail := chassistest.New(t, kit.Quietly("critical", change...)), &remote{latency: 50 * time.Millisecond}
	b := sys.Breaker(mailService)
	chassis.Handle(sys.System, task.Define[kit.Payload]("mail", policies...), func(ctx context.Context, _ task.Job[kit.Payload]) error {
		return mail.post(ctx, b, "/v1/messages")
	})
	return sys, b, mail
}

// An hour's outage with the default budget of ten failures (sidekiq/sidekiq#6010, frain-dev/convoy#676, spring-attic/spring-cloud-aws#320).
// Each probe of the half-open breaker was a failure of its task: one task of one died, ten of ten, and 31 of 100.
// Right: none dies, and all are done within a minute after it.
func TestAnHoursOutageGivesUpNoTask(t *testing.T) {
	for name, policies := range knowledge {
		for _, n := range []int{1, 10, 100} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sys, _, mail := behindMail(t, policies)
					mail.down.Store(true)
					sendMany(t, sys, "mail", n)
					kit.Begin(t, sys)
					kit.Pass(time.Hour)
					calls, _ := mail.look()
					mail.down.Store(false)
					kit.Pass(time.Minute)
					if mail.good() != n || len(letters(sys)) > 0 {
						t.Errorf("%d of %d are done, after %d calls in the outage; the dead letters are %v", mail.good(), n, calls, letters(sys))
					}
				})
			})
		}
	}
}

// A message that itself makes its service answer 500, alone on its path, is tried as a probe while the breaker is open for its sake.
// Right: it is no task without an end: its failures count again a day after its first delivery.
func TestAMessageThatFailsItsServiceForGoodIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, _, mail := behindMail(t, nil)
		mail.down.Store(true)
		sendMany(t, sys, "mail", 1)
		kit.Begin(t, sys)
		kit.Pass(23 * time.Hour)
		if dead := letters(sys); len(dead) > 0 {
			t.Errorf("given up within a day: %v", dead)
		}
		kit.Pass(2 * time.Hour)
		if dead := letters(sys); len(dead) != 1 {
			t.Errorf("%d dead letters after 25 hours", len(dead))
		}
	})
}

// With open_breaker_spends, or SpendOnOpenBreaker, an outage spends the budget, as these say.
func TestARefusalSpendsWhereItIsToSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, _, mail := behindMail(t, []task.Policy{task.SpendOnOpenBreaker(true)})
		mail.down.Store(true)
		sendMany(t, sys, "mail", 1)
		kit.Begin(t, sys)
		kit.Pass(time.Hour)
		if dead := letters(sys); len(dead) != 1 {
			t.Errorf("%d dead letters", len(dead))
		}
	})
}

// A task of which some messages call the service that is down, and others do not. What is learned from the first must not hold up the others.
// Right: in ten minutes of outage each of the others is done within half a minute.
func TestATaskThatCallsSeveralServicesIsNotHeldUpByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, mail, chat := chassistest.New(t, kit.Quietly("critical")), &remote{latency: 50 * time.Millisecond}, &remote{latency: 50 * time.Millisecond}
		toMail, toChat := sys.Breaker(mailService), sys.Breaker("https://chat.internal")
		var slowest atomic.Int64
		chassis.Handle(sys.System, task.Define[kit.Payload]("notify"), func(ctx context.Context, job task.Job[kit.Payload]) error {
			if job.Args.N%2 == 0 {
				return mail.post(ctx, toMail, "/v1/messages")
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(job.When))))
			return chat.post(ctx, toChat, "/v1/lines")
		})
		mail.down.Store(true)
		kit.Begin(t, sys)
		for range 60 {
			sendMany(t, sys, "notify", 10)
			kit.Pass(10 * time.Second)
		}
		if chat.good() != 300 || time.Duration(slowest.Load()) > 30*time.Second {
			t.Errorf("%d of 300 are done by the service that is up, the slowest began after %v", chat.good(), time.Duration(slowest.Load()))
		}
		mail.down.Store(false)
		kit.Pass(10 * time.Minute)
		if mail.good() != 300 || len(letters(sys)) > 0 {
			t.Errorf("%d of 300 are done by the other, the dead letters are %v", mail.good(), letters(sys))
		}
	})
}

// A pool with tasks behind a service that is down, and others that are not. The queue brings both.
// Right: the others are done as they come while max_held holds those that wait; with twice as many all are done too, in fewer than 2 000 requests in
// ten minutes, their own included (there were 3 166, and 470 of 600 were done).
func TestTasksBesideThoseThatWaitFlow(t *testing.T) {
	for n, limit := range map[int]time.Duration{900: 10 * time.Second, 2000: 10 * time.Minute} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := chassistest.New(t, kit.Quietly("critical"))
				tap, mail := &kit.Tap{}, &remote{latency: 50 * time.Millisecond}
				sys := kit.Tapped(t, base, tap, kit.Quietly("critical", func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 10, 10 }))
				b := sys.Breaker(mailService)
				var others, slowest atomic.Int64
				for _, s := range []*chassistest.System{base, sys} {
					chassis.Handle(s.System, task.Define[kit.Payload]("mail", task.Behind(mailService)), func(ctx context.Context, _ task.Job[kit.Payload]) error {
						return mail.post(ctx, b, "/v1/messages")
					})
					chassis.Handle(s.System, task.Define[kit.Payload]("count"), func(_ context.Context, job task.Job[kit.Payload]) error {
						others.Add(1)
						slowest.Store(max(slowest.Load(), int64(time.Since(job.When))))
						return nil
					})
				}
				mail.down.Store(true)
				sendMany(t, base, "mail", n)
				kit.Begin(t, sys)
				kit.Pass(time.Minute)
				before := tap.Count("")
				for range 60 {
					sendMany(t, base, "count", 10)
					kit.Pass(10 * time.Second)
				}
				requests, after := tap.Count("")-before, time.Duration(slowest.Load())
				if others.Load() != 600 || after > limit || requests > 2000 {
					t.Errorf("%d of 600 others are done, the slowest began after %v, with %d requests", others.Load(), after, requests)
				}
				t.Logf("%d requests, the slowest of the others began after %v", requests, after)
				mail.down.Store(false)
				kit.Pass(10 * time.Minute)
				if mail.good() != n || len(letters(base)) > 0 {
					t.Errorf("%d of %d are done, the dead letters are %v", mail.good(), n, letters(base))
				}
			})
		})
	}
}

// An operator forces the service open, for good, and resets it (reactor/reactor-kafka#411: the consumer was not resumed).
// Right: nothing runs meanwhile, and all of it within two seconds after.
func TestAnOperatorsWordOpensAndClosesTheWay(t *testing.T) {
	for name, queue := range map[string]string{"standard": "test-tasks", "ordered": "test.fifo"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, b, mail := behindMail(t, knowledge["named"], kit.OnPool(queue))
				if err := b.ForceOpen("", 0); err != nil {
					t.Fatal(err)
				}
				for i := range 20 {
					if _, err := sys.Send(t.Context(), "mail", kit.Payload{N: i}, task.Group(fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
				}
				kit.Begin(t, sys)
				kit.Pass(time.Hour)
				if calls, _ := mail.look(); calls > 0 {
					t.Errorf("%d calls while it was forced open", calls)
				}
				if err := b.Reset(""); err != nil {
					t.Fatal(err)
				}
				kit.Pass(2 * time.Second)
				if mail.good() != 20 {
					t.Errorf("%d of 20 are done two seconds after the reset", mail.good())
				}
				if w := sys.Tasks().Stats(); w.Useful != w.Workers || w.Tasks[len(w.Tasks)-1].WaitsFor != "" {
					t.Errorf("after the reset %d of %d workers are of use, and a task waits for %q", w.Useful, w.Workers, w.Tasks[len(w.Tasks)-1].WaitsFor)
				}
			})
		})
	}
}

// A task names a service that none of its attempts call. The service is down, and nobody else calls it, so its breaker stays half-open.
// Right: half-open is no limit of one at a time for good.
func TestATaskThatNamesAServiceItDoesNotCallRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical", func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 32, 32 }))
		b := sys.Breaker(mailService)
		for range 20 {
			_ = b.Do(t.Context(), "/v1/messages", func(context.Context) error { return kit.ErrBroken })
		}
		var done atomic.Int64
		chassis.Handle(sys.System, task.Define[kit.Payload]("mail", task.Behind(mailService)), func(context.Context, task.Job[kit.Payload]) error {
			time.Sleep(time.Second)
			done.Add(1)
			return nil
		})
		sendMany(t, sys, "mail", 320)
		kit.Begin(t, sys)
		kit.Pass(10*time.Second + 30*time.Second) // open_timeout, and three times what 32 workers need
		if n := done.Load(); n != 320 {
			t.Errorf("%d of 320 are done", n)
		}
	})
}

// A FIFO pool, an outage of nearly two hours, and a deploy every ten minutes. No copy carries the count there, so each deploy looked like a failure,
// and the first failure in the next process, where the breaker had not opened yet, was the last of the budget: the first task of each group died.
// Right: none dies, and all are done soon after it. Each deploy gives a message out once: what was given out MaxFailures + 3 times without a sign
// of a run is given up (docs/tasks.md), so a thirteenth deploy would end them. There were seven while a drain received what it had given back.
func TestDeploysInAnOutageGiveUpNoTaskOfAFIFOPool(t *testing.T) {
	for name, policies := range knowledge {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, mail := chassistest.New(t, kit.Quietly("critical", kit.OnPool("test.fifo"))), &remote{latency: 50 * time.Millisecond}
				mail.down.Store(true)
				for deploy := range 13 {
					sys := chassistest.New(t, chassistest.Beside(base), kit.Quietly("critical", kit.OnPool("test.fifo")))
					b := sys.Breaker(mailService)
					chassis.Handle(sys.System, task.Define[kit.Payload]("mail", policies...), func(ctx context.Context, _ task.Job[kit.Payload]) error {
						return mail.post(ctx, b, "/v1/messages")
					})
					for i := 0; deploy == 0 && i < 6; i++ {
						if _, err := sys.Send(t.Context(), "mail", kit.Payload{N: i}, task.Group(fmt.Sprint(i%3))); err != nil {
							t.Fatal(err)
						}
					}
					kit.Begin(t, sys)
					kit.Pass(time.Minute)
					mail.down.Store(deploy < 12)
					kit.Pass(9 * time.Minute)
					if dead := letters(sys); len(dead) > 0 {
						t.Fatalf("after deploy %d: %v", deploy, dead)
					}
					if err := sys.Stop(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if mail.good() != 6 {
					t.Errorf("%d of 6 are done", mail.good())
				}
			})
		})
	}
}

// A service is stopped while all its tasks wait.
// Right: at once, and another process gets them all.
func TestAStopWhileAllTasksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, b, _ := behindMail(t, knowledge["named"])
		if err := b.ForceOpen("", 0); err != nil {
			t.Fatal(err)
		}
		sendMany(t, sys, "mail", 50)
		kit.Begin(t, sys)
		kit.Pass(time.Minute)
		began := time.Now()
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the stop took %v", took)
		}
		next := chassistest.New(t, chassistest.Beside(sys), kit.Quietly("critical"))
		var done atomic.Int64
		chassis.Handle(next.System, task.Define[kit.Payload]("mail"), func(context.Context, task.Job[kit.Payload]) error { done.Add(1); return nil })
		kit.Begin(t, next)
		kit.Pass(time.Minute)
		if done.Load() != 50 {
			t.Errorf("another process got %d of 50", done.Load())
		}
	})
}

// Two pools share eight executions. All tasks of one wait for a service.
// Right: the other has all eight.
func TestAPoolThatWaitsLeavesItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, b, mail := behindMail(t, []task.Policy{task.Behind(mailService), task.InPool("mails"), task.Concurrency(4)}, func(s *chassis.Settings) {
			s.Tasks.TotalWorkers, s.Tasks.Workers, s.Tasks.MaxWorkers = 8, 8, 8
			s.Tasks.Pools = map[string]chassis.PoolSettings{"mails": {Weight: 9}}
		})
		var done atomic.Int64
		chassis.Handle(sys.System, task.Define[kit.Payload]("count"), func(context.Context, task.Job[kit.Payload]) error {
			time.Sleep(time.Second)
			done.Add(1)
			return nil
		})
		if err := b.ForceOpen("", 0); err != nil {
			t.Fatal(err)
		}
		sendMany(t, sys, "mail", 100)
		sendMany(t, sys, "count", 800)
		kit.Begin(t, sys)
		kit.Pass(100 * time.Second)
		if n := done.Load(); n < 760 {
			t.Errorf("%d of 800 are done in the time that eight workers need", n)
		}
		if err := b.Reset(""); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Minute)
		if mail.good() != 100 {
			t.Errorf("%d of 100 are done after the reset", mail.good())
		}
	})
}
