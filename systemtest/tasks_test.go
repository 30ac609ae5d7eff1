package systemtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// nothing handles a task of any kind.
func nothing(context.Context, task.Job[string]) error { return nil }

func TestASendDoesNotWaitForAHandleWhoseMiddlewareIsBuiltSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		greet := task.Define[string]("greet")
		chassis.Handle(sys.System, greet, nothing)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow := func(next task.RawHandler) task.RawHandler { time.Sleep(20 * time.Second); return next }
		go chassis.Handle(sys.System, task.Define[string]("late", task.Use(slow)), nothing)
		synctest.Wait()
		begun := time.Now()
		chassistest.Send(sys, greet, "Ann")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the Send took %v", took)
		}
		time.Sleep(time.Minute)
		if !sys.Tasks().Registered("late") {
			t.Error("it is not registered")
		}
		sys.RunUntilIdle()
	})
}

func TestATaskThatIsRegisteredDuringTheStartIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		built := make(chan struct{})
		slow := func(next task.RawHandler) task.RawHandler {
			close(built)
			time.Sleep(time.Second)
			return next
		}
		chassis.Handle(sys.System, task.Define[string]("early", task.Use(slow)), nothing)
		late := task.Define[string]("late")
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-built
			chassis.Handle(sys.System, late, nothing)
		}()
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-done
		id := chassistest.Send(sys, late, "Ann")
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
	})
}

// TestMiddlewareThatPanicsWhenItIsBuiltIsAnErrorOfStart: it once restarted the
// dispatcher without a pause and without an end.
func TestMiddlewareThatPanicsWhenItIsBuiltIsAnErrorOfStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := localsqs.New()
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithEmbedded(q), chassis.WithoutDefaultLogger(),
			chassis.WithLogOutput(io.Discard), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)),
			chassis.WithMiddleware(func(task.RawHandler) task.RawHandler { panic("no such setting") }))
		if err != nil {
			t.Fatal(err)
		}
		chassis.Handle(sys, task.Define[json.RawMessage]("the-job"), func(context.Context, task.Job[json.RawMessage]) error { return nil })
		err = sys.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the-job") || !strings.Contains(err.Error(), "no such setting") {
			t.Errorf("start: %v", err)
		}
		if n := sys.Tasks().Stats().Restarts; n != 0 {
			t.Errorf("%d restarts of the dispatcher", n)
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestARingOfOnFailIsRefused(t *testing.T) {
	pools := chassistest.Settings(func(s *chassis.Settings) { s.Tasks.Pools = map[string]chassis.PoolSettings{"reports": {}} })
	for name, ring := range map[string][]*task.Definition[string]{
		"itself":     {task.Define[string]("a", task.OnFail("a"))},
		"each other": {task.Define[string]("a", task.OnFail("b")), task.Define[string]("b", task.OnFail("a"))},
		"three, with a way in": {task.Define[string]("in", task.OnFail("a")), task.Define[string]("a", task.OnFail("b")),
			task.Define[string]("b", task.OnFail("c")), task.Define[string]("c", task.OnFail("a"))},
		"over two pools": {task.Define[string]("a", task.OnFailIn("reports", "b")), task.Define[string]("b", task.OnFailIn("test-tasks", "a"))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t, pools)
				for _, def := range ring {
					chassis.Handle(sys.System, def, nothing)
				}
				if err := sys.Start(t.Context()); err == nil || !strings.Contains(err.Error(), " → a") {
					t.Errorf("start: %v", err)
				}
			})
		})
	}
	t.Run("no ring", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sys := chassistest.New(t, pools)
			for _, def := range []*task.Definition[string]{task.Define[string]("a", task.OnFail("c")), task.Define[string]("b", task.OnFail("c")),
				task.Define[string]("c", task.OnFailIn("another-service", "a"))} {
				chassis.Handle(sys.System, def, nothing)
			}
			if err := sys.Start(t.Context()); err != nil {
				t.Error(err)
			}
			chassis.Handle(sys.System, task.Define[string]("c", task.OnFail("a")), nothing) // makes one
			logged := false
			for _, r := range sys.Logs() {
				logged = logged || r.Level == "ERROR" && strings.Contains(r.Message, "not registered")
			}
			if !logged {
				t.Error("a ring that is made later is not refused")
			}
		})
	})
}

func TestAHandlerThatStopsTheSystemIsBackAtOnceAndRunsOnce(t *testing.T) {
	for name, ctx := range map[string]func(context.Context) context.Context{
		"with its ctx": func(ctx context.Context) context.Context { return ctx },
		"with another": func(context.Context) context.Context { return context.Background() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t)
				pill := task.Define[string]("pill")
				ran, took, done := 0, time.Duration(0), make(chan struct{})
				chassis.Handle(sys.System, pill, func(own context.Context, _ task.Job[string]) error {
					ran++
					defer close(done)
					begun := time.Now()
					err := sys.Stop(ctx(own))
					took = time.Since(begun)
					return err
				})
				chassistest.Send(sys, pill, "")
				if err := sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-done
				time.Sleep(5 * time.Minute)
				if state := sys.State(); state != chassis.Stopped {
					t.Errorf("the system is %v", state)
				}
				next := chassistest.New(t, chassistest.Beside(sys))
				chassis.Handle(next.System, pill, func(context.Context, task.Job[string]) error { ran++; return nil })
				next.RunUntilIdle()
				if ran != 1 || took > time.Second {
					t.Errorf("Stop took %v, the task ran %d times; want no time, and once", took, ran)
				}
			})
		})
	}
}

func TestAStopKeepsItsCtxWhenATaskActorStopsTheDispatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		sys.Register("work", actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*dispatcher.Execute); ok {
				if m.Info.Attempt == 1 {
					c.Stop(c.Parent())
					return
				}
				c.Respond(dispatcher.Done{})
			}
		}))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		id, err := sys.Send(t.Context(), "work", struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
		defer cancel()
		begun := time.Now()
		if err := sys.Stop(ctx); err != nil || time.Since(begun) > 22*time.Second {
			t.Errorf("stop took %v: %v", time.Since(begun), err)
		}
	})
}

// TestAFIFOTaskIsRefusedByWhatItsQueueKeeps, not by what the settings say of it:
// a queue that another service has made keeps an hour, and the settings say days;
// or the other way round.
func TestAFIFOTaskIsRefusedByWhatItsQueueKeeps(t *testing.T) {
	for _, c := range []struct{ queue, setting, kept, refused time.Duration }{
		{time.Hour, 96 * time.Hour, 50 * time.Minute, 55 * time.Minute},
		{96 * time.Hour, time.Hour, 90 * time.Hour, 96 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, err := localsqs.New()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close() //nolint:errcheck // in memory
			s := chassis.DefaultSettings()
			s.Tasks.TaskPool, s.Tasks.RetentionPeriod = "mailer.fifo", c.setting
			sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithEmbedded(server),
				chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sys.SQS().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("mailer.fifo"), Attributes: map[string]string{
				"FifoQueue": "true", "MessageRetentionPeriod": strconv.Itoa(int(c.queue.Seconds()))}}); err != nil {
				t.Fatal(err)
			}
			job := task.Define[struct{}]("job")
			chassis.Handle(sys, job, func(context.Context, task.Job[struct{}]) error { return nil })
			if err := sys.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, err := chassis.Send(t.Context(), sys, job, struct{}{}, task.Group("g"), task.At(time.Now().Add(c.kept))); err != nil {
				t.Errorf("due in %v, the queue keeps %v: %v", c.kept, c.queue, err)
			}
			if _, err := chassis.Send(t.Context(), sys, job, struct{}{}, task.Group("g"), task.At(time.Now().Add(c.refused))); !errors.Is(err, dispatcher.ErrNotKept) {
				t.Errorf("due in %v, the queue keeps %v: %v", c.refused, c.queue, err)
			}
			if err := sys.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute) // timers of the library
		})
	}
}
