package dispatcher_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/task"
)

// blocked is a pool with many messages of the task "job", some of "healthy",
// and a count of both.
type blocked struct {
	*embedded
	jobs, healthy atomic.Int64
}

// limits runs f with a pool of eight workers and a task job of one second.
func limits(t *testing.T, job []task.Policy, f func(b *blocked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		b := &blocked{embedded: newEmbeddedOf(t, system, 8)}
		b.handle("job", func(context.Context, raw) error { time.Sleep(time.Second); b.jobs.Add(1); return nil }, job...)
		b.handle("healthy", func(context.Context, raw) error { time.Sleep(3 * time.Millisecond); b.healthy.Add(1); return nil })
		f(b)
		b.down()
		shutdown(system)
	})
}

func (b *blocked) fill(name string, n int) {
	for i := range n {
		b.send(name, i)
	}
}

func (b *blocked) pause(name string) {
	if err := b.ctl.Pause(b.t.Context(), name); err != nil {
		b.t.Error(err)
	}
}

func (b *blocked) resume(name string) {
	if err := b.ctl.Resume(b.t.Context(), name); err != nil {
		b.t.Error(err)
	}
}

// spent is the number of requests that f makes.
func (b *blocked) spent(f func()) int64 {
	before := b.requests.Load()
	f()
	return b.requests.Load() - before
}

// What was beyond max_held was received and sent again every ten seconds:
// 148 000 requests an hour for 5 000 messages.
func TestAPausedTaskIsNotReceivedAndSentAgainForEver(t *testing.T) {
	for _, n := range []int{sized(2500, 1200, 1200), sized(5000, 2400, 2000)} {
		limits(t, nil, func(b *blocked) {
			b.pause("job")
			b.fill("job", n)
			half := b.spent(func() { time.Sleep(30 * time.Minute) })
			rest := b.spent(func() { time.Sleep(30 * time.Minute) })
			t.Logf("%d messages of a paused task: %d requests in an hour", n, half+rest)
			if half >= 5000 || half+rest >= 10_000 {
				t.Errorf("%d messages: %d requests in half an hour, %d in an hour; want fewer than 5 000 and 10 000", n, half, half+rest)
			}
		})
	}
}

// 5 000 messages under Concurrency(1) cost 31.6 requests each.
func TestALimitedTaskIsNotReceivedAndSentAgainForEver(t *testing.T) {
	run := func(n int, policies ...task.Policy) (per float64) {
		limits(t, policies, func(b *blocked) {
			b.pause("")
			b.fill("job", n)
			b.resume("")
			per = float64(b.spent(func() {
				for b.jobs.Load() < int64(n) {
					time.Sleep(time.Second)
				}
			})) / float64(n)
		})
		return per
	}
	n := sized(5000, 2500, 2000)
	without, with := run(n), run(n, task.Concurrency(1))
	if t.Logf("%.2f requests a task, %.2f with Concurrency(1)", without, with); with > without+2 {
		t.Errorf("%.2f requests a task with Concurrency(1), %.2f without: want at most two more", with, without)
	}
}

// A limit must be used in full, whatever lies on the queue and however its
// messages are put off.
func TestALimitIsUsedInFull(t *testing.T) {
	n := sized(1500, 1500, 600)
	for _, limit := range []int{1, 4} {
		limits(t, []task.Policy{task.Concurrency(limit)}, func(b *blocked) {
			b.fill("job", n)
			begun := time.Now()
			for b.jobs.Load() < int64(n) {
				time.Sleep(time.Second)
			}
			best := time.Duration(n) * time.Second / time.Duration(limit)
			if took := time.Since(begun); took > best*11/10 {
				t.Errorf("limit %d: %d runs of a second took %v, %v is the best", limit, n, took, best)
			}
		})
	}
}

// Healthy tasks run while another is paused: those of a backlog in which they are every
// second, and those that come later, one by one.
func TestHealthyTasksRunBesideAPausedOne(t *testing.T) {
	limits(t, nil, func(b *blocked) {
		b.pause("")
		n := sized(3000, 3000, 1200)
		for range n {
			b.send("job", nil)
			b.send("healthy", nil)
		}
		b.pause("job")
		b.resume("")
		begun := time.Now()
		for b.healthy.Load() < int64(n-50) && time.Since(begun) < time.Hour {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%d of %d healthy tasks among as many paused ones took %v", b.healthy.Load(), n, took)
		} else {
			t.Logf("%d healthy tasks among as many paused ones took %v", n-50, took)
		}
		time.Sleep(time.Hour) // now the others are away for 15 minutes at a time
		if ran := b.healthy.Load(); ran != int64(n) {
			t.Errorf("%d of %d healthy tasks have run within an hour", ran, n)
		}
		longest := time.Duration(0)
		for i := range 60 {
			sent := time.Now()
			b.send("healthy", nil)
			for b.healthy.Load() <= int64(n+i) {
				time.Sleep(100 * time.Millisecond)
			}
			longest = max(longest, time.Since(sent))
			time.Sleep(time.Minute)
		}
		if t.Logf("one a minute among %d paused ones waits %v at most", n, longest); longest > 30*time.Second {
			t.Errorf("a healthy task among %d paused ones waited %v", n, longest)
		}
	})
}

// What is here begins at once when its task is resumed, and what lies on the
// queue visibly is received at once.
func TestAResumedTaskBeginsAtOnce(t *testing.T) {
	limits(t, nil, func(b *blocked) {
		b.pause("job")
		b.fill("job", sized(5000, 5000, 2000))
		time.Sleep(5 * time.Minute)
		b.resume("job")
		synctest.Wait()
		if n := b.mon.Stats().Running; n != 8 {
			t.Errorf("%d run at once, want all eight workers busy", n)
		}
		time.Sleep(60 * time.Second)
		if n := b.jobs.Load(); n < 8*60*9/10 {
			t.Errorf("%d runs of a second by eight workers in the first minute", n)
		}
	})
}

// closedAt is the error of a breaker that is open until a time.
type closedAt struct{ at time.Time }

func (c closedAt) Error() string             { return "the breaker is open" }
func (c closedAt) BreakerOpen() bool         { return true }
func (c closedAt) RetryAfter() time.Duration { return min(time.Until(c.at), 10*time.Second) }

// Tasks of a service that is down, more of them than may wait in place, were
// received and sent again whenever its breaker let one call through.
func TestTasksOfAServiceThatIsDownAreNotReceivedAndSentAgainForEver(t *testing.T) {
	for _, down := range []time.Duration{time.Minute, time.Duration(sized(60, 20, 20)) * time.Minute} {
		limits(t, nil, func(b *blocked) {
			var mails atomic.Int64
			b.pause("")
			up := time.Now().Add(down)
			b.handle("mail", func(context.Context, raw) error {
				if time.Now().Before(up) {
					return closedAt{up}
				}
				time.Sleep(3 * time.Millisecond)
				mails.Add(1)
				return nil
			})
			n := sized(5000, 1500, 1500)
			for range n {
				b.send("mail", nil)
				b.send("healthy", nil)
			}
			up = time.Now().Add(down)
			b.resume("")
			b.latency.Store(int64(time.Millisecond))
			begun := time.Now()
			first := b.spent(func() {
				for b.healthy.Load() < int64(n*95/100) {
					time.Sleep(10 * time.Millisecond)
				}
			})
			t.Logf("down for %v: 95 %% of %d healthy tasks are done after %v and %d requests", down, n, time.Since(begun), first)
			if rate := float64(b.healthy.Load()) / time.Since(begun).Seconds(); rate < 0.6*8/0.0033/2 {
				t.Errorf("%.0f healthy tasks a second while a service is down", rate)
			}
			if most := int64(2.25 * float64(n)); first > most {
				t.Errorf("%d requests for them, want at most two more a task than without the others: %d", first, most)
			}
			rest := b.spent(func() { time.Sleep(time.Until(up)) })
			if most := int64(10_000*down.Hours()) + 1500; rest > most {
				t.Errorf("then %d requests in %v, want at most %d", rest, down, most)
			}
			b.latency.Store(int64(0))
			for mails.Load() < int64(n) && time.Since(up) < time.Hour {
				time.Sleep(time.Second)
			}
			t.Logf("then %d requests; the tasks of the service were done %v after it was up", rest, time.Since(up))
			if most := max(down/2, 30*time.Second) + 10*time.Second; mails.Load() < int64(n) || time.Since(up) > min(most, 6*time.Minute) {
				t.Errorf("%d of %d tasks were done %v after the outage", mails.Load(), n, time.Since(up))
			}
		})
	}
}
