package poller

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/internal/skew"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// A machine that sleeps for longer than a lease must not run a task on
// while another process has taken it over (cert-manager/cert-manager#8464 is the
// same of another lease).
func TestALeaseThatEndedWhileTheMachineSleptIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := localsqs.New()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = srv.Close() }()
		client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(srv.HTTPClient()))
		if err != nil {
			t.Fatal(err)
		}
		url, err := EnsureQueue(t.Context(), client, "tasks", EnsureOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(Config{Client: client, QueueURL: url, Settings: Settings{TaskTimeout: 40 * time.Second, ReceiveWait: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		var slept atomic.Int64
		began := time.Now()
		p.clock = skew.ClockOf(began, func() (elapsed, wall time.Duration) {
			return time.Since(began), time.Since(began) + time.Duration(slept.Load())
		})
		system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond), actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		defer system.Shutdown()
		got := make(chan any, 16)
		sub := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) { got <- c.Message() }))
		pid := system.Root.Spawn(p.Props())
		system.Root.Send(pid, &Subscribe{To: sub})
		system.Root.Send(pid, &Want{Credits: 1})
		sender := NewSender(client)
		defer func() { _ = sender.Close(t.Context()) }()
		if _, err := sender.Send(t.Context(), Outgoing{Pool: "tasks", Body: "{}"}); err != nil {
			t.Fatal(err)
		}
		await[*Delivered](t, got)
		time.Sleep(10 * time.Second)
		slept.Store(int64(70 * time.Second))
		woke := time.Now()
		if s := await[*Slept](t, got); s.For != 70*time.Second {
			t.Errorf("the subscriber hears of a sleep of %v, want 70s", s.For)
		}
		await[*LeaseLost](t, got)
		if took := time.Since(woke); took > time.Second {
			t.Errorf("known as lost %v after the machine woke, want less than 1s", took)
		}
		system.Root.Send(pid, &Drain{})
		await[*Drained](t, got)
		for _, pid := range []*actor.PID{pid, sub} {
			if err := system.Root.StopFuture(pid).Wait(); err != nil {
				t.Error(err)
			}
		}
		if err := sender.Close(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Millisecond) // the throttle of the dead letters ends
	})
}

// await returns the next message of type M, and passes over others.
func await[M any](t *testing.T, got <-chan any) M {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case m := <-got:
			if m, ok := m.(M); ok {
				return m
			}
		case <-limit:
			t.Fatalf("no %T within a minute", *new(M))
		}
	}
}

// A wall clock that is set back does not move the clock of leases, by which the queue's is
// measured. A subscriber reads the wall clock: for it the queue is ahead by what was set.
func TestTheQueueIsAheadOfAWallClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set atomic.Int64
		began := time.Now()
		w := &worker{Poller: &Poller{clock: skew.ClockOf(began, func() (elapsed, wall time.Duration) {
			return time.Since(began), time.Since(began) + time.Duration(set.Load())
		})}}
		if w.ahead() != 0 {
			t.Errorf("before the first message the queue is ahead by %v", w.ahead())
		}
		receive := func() {
			begun := w.clock.Now()
			time.Sleep(10 * time.Millisecond)
			w.readQueueClock(&received{receive: &receiving{start: begun}, ended: w.clock.Now(),
				messages: []incoming{{delivered: &Delivered{ReceiveCount: 1, FirstReceived: time.Now()}}}})
		}
		receive()
		if got := w.ahead(); got.Abs() > time.Second/10 {
			t.Errorf("with one clock it is ahead by %v", got)
		}
		set.Store(int64(-30 * time.Second))
		for range 2 {
			if got := w.ahead() - 30*time.Second; got.Abs() > time.Second/10 {
				t.Errorf("ahead by %v, want 30s", w.ahead())
			}
			receive()
		}
	})
}
