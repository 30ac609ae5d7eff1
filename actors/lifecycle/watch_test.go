package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
)

// rig is an actor system that is watched.
type rig struct {
	*Watch
	system *actor.ActorSystem
	mu     sync.Mutex
	out    bytes.Buffer
}

func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(b)
}

// lines returns the records of one level.
func (r *rig) lines(level string) (lines []map[string]any) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range bytes.Lines(r.out.Bytes()) {
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			panic(err)
		}
		if m["level"] == level {
			lines = append(lines, m)
		}
	}
	return lines
}

// watched runs f in simulated time.
func watched(t *testing.T, cfg Config, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		cfg.Logger = slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r.Watch = New(cfg)
		config := actor.Configure(actor.WithDeadLetterThrottleInterval(time.Millisecond))
		config.LoggerFactory = r.Factory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })
		r.system = actor.NewActorSystemWithConfig(config)
		if err := r.Start(r.system); err != nil {
			t.Fatal(err)
		}
		f(t, r)
		time.Sleep(time.Second)
	})
}

var errStock = errors.New("no connection to the stock")

// fragile panics at "panic", and escalates at an error.
func fragile(c actor.Context) {
	switch m := c.Message().(type) {
	case string:
		if m == "panic" {
			panic(errStock)
		}
	case error:
		c.(actor.Supervisor).EscalateFailure(m, m)
	}
}

// events subscribes an actor of the test.
func (r *rig) events(t *testing.T) func() []Event {
	var mu sync.Mutex
	var got []Event
	pid := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if e, ok := c.Message().(Event); ok {
			mu.Lock()
			got = append(got, e)
			mu.Unlock()
		}
	}))
	r.system.Root.Send(r.PID(), Subscribe{To: pid})
	synctest.Wait()
	return func() []Event {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

// A crash of an actor was an INFO record without a stack; its end was not said.
func TestEachPanicIsAnErrorWithItsStack(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		events := r.events(t)
		pid := r.system.Root.Spawn(actor.PropsFromFunc(fragile))
		for range 20 {
			r.system.Root.Send(pid, "panic")
		}
		lines := r.lines("ERROR")
		if len(lines) != 12 {
			t.Fatalf("%d lines at ERROR, want 11 panics and a stop: %v", len(lines), lines)
		}
		for i, line := range lines {
			if line["actor"] != pid.Id || line["error"] != errStock.Error() {
				t.Errorf("line %d: %v", i, line)
			}
			stack, _ := line["stack"].(string)
			if i < 11 && (!strings.Contains(stack, "lifecycle.fragile(") || !strings.Contains(strings.SplitN(stack, "\n", 3)[1], "panic(")) {
				t.Errorf("the stack of panic %d: %s", i, stack)
			}
		}
		if !strings.Contains(fmt.Sprint(lines[11]["msg"]), "stopped for good") {
			t.Errorf("the last is %v", lines[11])
		}
		if c := r.Counts(); c.Failures != 11 || c.Restarts != 10 || c.Stops != 1 {
			t.Errorf("%+v", c)
		}
		var failed, restarted, stopped int
		for _, e := range events() {
			switch e := e.(type) {
			case *Failed:
				failed++
				if e.Reason != errStock || !strings.Contains(e.Stack, "lifecycle.fragile(") {
					t.Errorf("%+v", e)
				}
			case *Restarted:
				restarted++
			case *Stopped:
				stopped++
			}
		}
		if failed != 11 || restarted != 10 || stopped != 1 {
			t.Errorf("events: %d failed, %d restarted, %d stopped", failed, restarted, stopped)
		}
	})
}

func TestFailuresThatAreNoPanics(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		up := actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.EscalateDirective })
		r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Send(c.Spawn(actor.PropsFromFunc(fragile)), errStock)
			}
		}, actor.WithSupervisor(up), actor.WithGuardian(actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective }))))
		if lines := r.lines("ERROR"); len(lines) != 2 || lines[0]["msg"] != "an actor failed" || lines[0]["stack"] != nil {
			t.Errorf("at ERROR, want the failure and the stop: %v", lines)
		}
		if lines := r.lines("WARN"); len(lines) != 1 {
			t.Errorf("at WARN, want the escalation: %v", lines)
		}
	})
}

func TestResumedAndExecutionsAreNamed(t *testing.T) {
	job := func(pid *actor.PID) (context.Context, string, string) { return context.Background(), "e-1", "count" }
	watched(t, Config{Job: job}, func(t *testing.T, r *rig) {
		events := r.events(t)
		goOn := actor.NewOneForOneStrategy(1, time.Second, func(any) actor.Directive { return actor.ResumeDirective })
		pid := r.system.Root.Spawn(actor.PropsFromFunc(fragile, actor.WithGuardian(goOn)))
		r.system.Root.Send(pid, "panic")
		got := events()
		if len(got) != 2 {
			t.Fatalf("%d events: %v", len(got), got)
		}
		if f, ok := got[0].(*Failed); !ok || f.ExecID != "e-1" || f.Task != "count" {
			t.Errorf("the first is %+v", got[0])
		}
		if _, ok := got[1].(*Resumed); !ok {
			t.Errorf("the second is %+v", got[1])
		}
	})
}

func TestMutedFailuresAreNotSeen(t *testing.T) {
	watched(t, Config{Muted: func(pid *actor.PID) bool { return strings.HasPrefix(pid.Id, "muted") }}, func(t *testing.T, r *rig) {
		pid, err := r.system.Root.SpawnNamed(actor.PropsFromFunc(fragile), "muted")
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			r.system.Root.Send(pid, "panic")
		}
		if lines := r.lines("ERROR"); len(lines) != 0 || r.Counts().Failures != 0 {
			t.Errorf("%v, %+v", lines, r.Counts())
		}
	})
}

func TestDeadLettersAreLoggedAtABoundedRate(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		gone := actor.NewPID(r.system.Address(), "the-stock")
		for range 1000 {
			r.system.Root.Send(gone, "count")
		}
		lines := r.lines("WARN")
		if len(lines) != rateBurst || lines[0]["to"] != "the-stock" || lines[0]["message"] != "string" {
			t.Errorf("%d lines, the first %v", len(lines), lines)
		}
		time.Sleep(5 * time.Second)
		r.system.Root.Send(gone, "count")
		if lines := r.lines("WARN"); len(lines) != rateBurst+1 || lines[rateBurst]["not_logged"] != float64(1000-rateBurst) {
			t.Errorf("the last is %v", lines[len(lines)-1])
		}
		if n := r.Counts().DeadLetters; n != 1001 {
			t.Errorf("%d counted", n)
		}
		// What is no message of anybody is no dead letter.
		r.system.Root.Poison(gone)
		r.system.Root.Stop(gone)
		_, _ = actors.Ask[int](t.Context(), r.system, gone, actor.DeadLetterResponse{})
		if n := r.Counts().DeadLetters; n != 1002 {
			t.Errorf("%d counted, want the question alone", n)
		}
	})
}

// A subscriber that has ended, and a handler that panics, do no harm.
func TestSubscribersThatEndOrPanic(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		r.system.EventStream.Subscribe(func(e any) {
			if _, ok := e.(*Failed); ok {
				panic("a handler of the service")
			}
		})
		first := r.events(t)
		short := r.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		r.system.Root.Send(r.PID(), &Subscribe{To: short})
		r.system.Root.Send(r.PID(), &Subscribe{To: short})
		synctest.Wait()
		r.system.Root.Stop(short)
		pid := r.system.Root.Spawn(actor.PropsFromFunc(fragile))
		for range 3 {
			r.system.Root.Send(pid, "panic")
		}
		if n := len(first()); n != 6 {
			t.Errorf("%d events, want 3 failures and 3 restarts: %v", n, first())
		}
		counts, err := actors.Ask[*Counts](t.Context(), r.system, r.PID(), GetCounts{})
		if err != nil || counts.Failures != 3 || counts.DeadLetters != 0 {
			t.Errorf("%+v, %v", counts, err)
		}
		if _, err := actors.Ask[any](t.Context(), r.system, r.PID(), "unknown"); err == nil {
			t.Error("no error for an unknown message")
		}
	})
}

func TestPropsPublishTheirStarts(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		events := r.events(t)
		pid := r.system.Root.Spawn(r.Props(actor.PropsFromFunc(fragile)))
		r.system.Root.Send(pid, "panic")
		n := 0
		for _, e := range events() {
			if s, ok := e.(*Started); ok && s.PID.Equal(pid) {
				n++
			}
		}
		if n != 2 {
			t.Errorf("%d starts, want that of the restart too", n)
		}
	})
}

func TestASlowSubscriberLosesTheNewest(t *testing.T) {
	watched(t, Config{}, func(t *testing.T, r *rig) {
		free := make(chan struct{})
		r.system.EventStream.Subscribe(func(e any) {
			if _, ok := e.(*DeadLetter); ok {
				<-free
			}
		})
		gone := actor.NewPID(r.system.Address(), "the-stock")
		for range maxQueued + 100 {
			r.system.Root.Send(gone, "count")
		}
		if n := r.Counts().Dropped; n < 99 || n > 101 {
			t.Errorf("%d dropped", n)
		}
		close(free)
	})
}
