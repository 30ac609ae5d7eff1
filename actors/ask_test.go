package actors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
)

type (
	count  struct{ n int }
	query  struct{}
	silent struct{}
	stop   struct{}
	late   struct{}
)

var errStock = errors.New("no connection to the stock")

// stock answers in every way that an actor may.
func stock(c actor.Context) {
	switch m := c.Message().(type) {
	case query:
		c.Respond(count{7})
	case *query:
		c.Respond(&count{7})
	case error:
		c.Respond(m)
	case silent:
	case stop:
		c.Stop(c.Self())
	case late:
		time.Sleep(time.Minute)
		c.Respond(count{1})
		c.Respond(count{2})
	default:
		actors.Refuse(c, "takes query")
	}
}

func newSystem(tb testing.TB) *actor.ActorSystem {
	system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	tb.Cleanup(system.Shutdown)
	return system
}

// spawn starts the stock, which ends with the test.
func spawn(t *testing.T, system *actor.ActorSystem) *actor.PID {
	t.Helper()
	pid := system.Root.Spawn(actor.PropsFromFunc(stock))
	t.Cleanup(func() { system.Root.Stop(pid); time.Sleep(time.Second) })
	return pid
}

func TestAskTakesAnswersOfItsType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		pid := spawn(t, system)
		ctx := t.Context()
		if n, err := actors.Ask[count](ctx, system, pid, query{}); err != nil || n.n != 7 {
			t.Errorf("a value for a value: %v, %v", n, err)
		}
		if n, err := actors.Ask[*count](ctx, system, pid, query{}); err != nil || n.n != 7 {
			t.Errorf("a value for a pointer: %v, %v", n, err)
		}
		if n, err := actors.Ask[count](ctx, system, pid, &query{}); err != nil || n.n != 7 {
			t.Errorf("a pointer for a value: %v, %v", n, err)
		}
		if n, err := actors.Ask[any](ctx, system, pid, &query{}); err != nil || n.(*count).n != 7 {
			t.Errorf("anything: %v, %v", n, err)
		}
		if _, err := actors.Ask[string](ctx, system, pid, query{}); err == nil || !strings.Contains(err.Error(), "the answer is a actors_test.count, want string") {
			t.Errorf("another type: %v", err)
		}
		if _, err := actors.Ask[count](ctx, system, pid, errStock); !errors.Is(err, errStock) {
			t.Errorf("an error for a value: %v", err)
		}
		if _, err := actors.Ask[any](ctx, system, pid, errStock); !errors.Is(err, errStock) {
			t.Errorf("an error for anything: %v", err)
		}
		if got, err := actors.Ask[error](ctx, system, pid, errStock); err != nil || got != errStock {
			t.Errorf("an error for an error: %v, %v", got, err)
		}
	})
}

func TestAskEndsAtOnceWithoutAnActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		pid := spawn(t, system)
		began := time.Now()
		var unknown *actors.Unhandled
		if _, err := actors.Ask[count](t.Context(), system, pid, 3.5); !errors.As(err, &unknown) || unknown.Message != 3.5 || unknown.By.Id != pid.Id {
			t.Errorf("an unknown message: %v", err)
		}
		if _, err := actors.Ask[count](t.Context(), system, actor.NewPID(system.Address(), "missing"), query{}); !errors.Is(err, actors.ErrDeadLetter) {
			t.Errorf("a missing actor: %v", err)
		}
		if _, err := actors.Ask[any](t.Context(), system, actor.NewPID(system.Address(), "missing"), query{}); !errors.Is(err, actors.ErrDeadLetter) {
			t.Errorf("a missing actor, any answer: %v", err)
		}
		if _, err := actors.Ask[count](t.Context(), system, nil, query{}); err == nil {
			t.Error("no error for a nil address")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		if _, err := actors.Ask[count](t.Context(), system, pid, stop{}); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("the actor stopped: %v", err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("the end of the actor was noticed after %v", took)
		}
	})
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		pid := spawn(t, system)
		for _, limit := range []time.Duration{time.Millisecond, time.Second} { // before and after the watch
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			began := time.Now()
			_, err := actors.Ask[count](ctx, system, pid, silent{})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != limit {
				t.Errorf("%v after %v, want %v", err, time.Since(began), limit)
			}
			cancel()
			if _, err := actors.Ask[count](ctx, system, pid, query{}); err == nil {
				t.Error("no error for a ctx that has ended")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := actors.Ask[count](ctx, system, pid, late{}); err == nil {
			t.Error("no error without an answer")
		}
		time.Sleep(2 * time.Minute) // the late answers come and are dropped
		if n, err := actors.Ask[count](t.Context(), system, pid, query{}); err != nil || n.n != 7 {
			t.Errorf("after late answers: %v, %v", n, err)
		}
		if n, err := actors.Ask[count](t.Context(), system, pid, late{}); err != nil || n.n != 1 {
			t.Errorf("a slow answer: %v, %v", n, err)
		}
	})
}

func TestManyAsksOfOneActor(t *testing.T) {
	system := newSystem(t)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if n, ok := c.Message().(int); ok {
			c.Respond(n + 1)
		}
	}))
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for j := range 200 {
				if n, err := actors.Ask[int](t.Context(), system, pid, i*1000+j); err != nil || n != i*1000+j+1 {
					t.Errorf("asked with %d: %d, %v", i*1000+j, n, err)
				}
			}
		})
	}
	work.Wait()
	_ = system.Root.StopFuture(pid).Wait()
}

func TestRefuseLeavesProtoActorsOwnMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem(t)
		var mu sync.Mutex
		var refused []string
		pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if actors.Refuse(c, "takes nothing") {
				mu.Lock()
				refused = append(refused, fmt.Sprintf("%T", c.Message()))
				mu.Unlock()
			}
		}))
		system.Root.Send(pid, "without a sender")
		system.Root.Send(pid, &actors.Unhandled{})
		system.Root.Send(pid, &actor.DeadLetterResponse{})
		system.Root.Request(pid, io.EOF)
		synctest.Wait()
		system.Root.Stop(pid)
		synctest.Wait()
		if got := strings.Join(refused, " "); got != "string *errors.errorString" {
			t.Errorf("refused %s", got)
		}
	})
}

// BenchmarkAsk compares an Ask with a RequestFuture.
func BenchmarkAsk(b *testing.B) {
	system := newSystem(b)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(query); ok {
			c.Respond(c.Self())
		}
	}))
	defer func() { _ = system.Root.StopFuture(pid).Wait() }()
	b.Run("ask", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := actors.Ask[*actor.PID](b.Context(), system, pid, query{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("future", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := system.Root.RequestFuture(pid, query{}, time.Minute).Result(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
