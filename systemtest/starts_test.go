package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// inBubble runs f in simulated time, and lets Proto.Actor's goroutine that
// counts dead letters end, which ends by time alone.
func inBubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Second)
	})
}

// silent is a queue that takes requests and never answers; it tells of the
// first.
type silent struct{ asked chan struct{} }

func (s silent) Do(r *http.Request) (*http.Response, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// onASilentQueue returns a system with a Start that hangs once asked has a value.
func onASilentQueue(t *testing.T) (sys *chassis.System, asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 1)
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(silent{asked}))
	if err != nil {
		t.Fatal(err)
	}
	sys, err = chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithSQS(client), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	chassis.Handle(sys, task.Define[kit.Greeting]("greet"), func(context.Context, task.Job[kit.Greeting]) error { return nil })
	return sys, asked
}

// TestASignalEndsAStartThatHangs: Ctrl-C while the queue does not answer.
func TestASignalEndsAStartThatHangs(t *testing.T) {
	sys, asked := onASilentQueue(t)
	ended := make(chan error, 1)
	begun := time.Now()
	go func() { ended <- sys.Run(context.Background()) }()
	<-asked
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil { // Run listens for it since before it started
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("the error does not name the signal: %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second { // the start would take 30 s
		t.Errorf("it took %v", took)
	}
}

// TestASecondSignalCutsTheDrainShort: two tasks run, of which one ignores its ctx. The
// first signal lets them run for drain_timeout, the second does not. Both messages are
// on the queue afterwards, to be received at once.
func TestASecondSignalCutsTheDrainShort(t *testing.T) {
	queue, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = queue.Close() }()
	settings := chassis.DefaultSettings()
	settings.Tasks.TaskPool, settings.Tasks.DrainTimeout, settings.Tasks.AbandonAfter = "mails", time.Minute, 100*time.Millisecond
	settings.Admin.Listen = "off"
	sys, err := chassis.New("mailer", chassis.WithSettings(settings), chassis.WithEmbedded(queue), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	heeds, ignores := task.Define[kit.Greeting]("heeds"), task.Define[kit.Greeting]("ignores")
	begun, over, left := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	chassis.Handle(sys, heeds, func(ctx context.Context, _ task.Job[kit.Greeting]) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	chassis.Handle(sys, ignores, func(context.Context, task.Job[kit.Greeting]) error {
		defer close(left)
		begun <- struct{}{}
		<-over
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- sys.Run(context.Background()) }()
	for _, definition := range []*task.Definition[kit.Greeting]{heeds, ignores} {
		if _, err := chassis.Send(t.Context(), sys, definition, kit.Greeting{}); err != nil {
			t.Fatal(err)
		}
	}
	<-begun
	<-begun
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for sys.State() != chassis.Stopping {
		runtime.Gosched() // the state is what is waited for: Run has no other sign
	}
	second := time.Now()
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	if took := time.Since(second); took > 20*time.Second { // the drain alone would take a minute
		t.Errorf("it took %v: %v", took, err)
	}
	found, err := queue.Peek("mails", 10)
	if err != nil || len(found) != 2 {
		t.Fatalf("%d messages are left, want 2: %v", len(found), err)
	}
	for _, m := range found {
		if m.State != "visible" {
			t.Errorf("a message is %s until %v", m.State, m.Visible)
		}
	}
	close(over)
	<-left
}

func TestAStopEndsAStartThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sys, asked := onASilentQueue(t)
		started := make(chan error, 1)
		go func() { started <- sys.Start(context.Background()) }()
		<-asked
		begun := time.Now()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-started; !errors.Is(err, chassis.ErrStopped) {
			t.Errorf("Start says %v, want ErrStopped", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		if err := sys.Start(context.Background()); !errors.Is(err, chassis.ErrStopped) {
			t.Errorf("Start after it says %v, want ErrStopped", err)
		}
	})
}

// TestAStartThatFailsHalfWayIsStoppedAtOnce: of two pools the first was started.
func TestAStartThatFailsHalfWayIsStoppedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := chassis.DefaultSettings()
		s.Tasks.TaskPool, s.Tasks.Pools = "mails", map[string]chassis.PoolSettings{"reports": {}}
		sys, err := chassis.New("office", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		chassis.Handle(sys, task.Define[kit.Greeting]("greet"), func(context.Context, task.Job[kit.Greeting]) error { return nil })
		own, err := sys.Actors().Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "poller/reports")
		if err != nil {
			t.Fatal(err)
		}
		if err := sys.Start(context.Background()); err == nil || !strings.Contains(err.Error(), "poller/reports") {
			t.Errorf("Start says %v", err)
		}
		sys.Actors().Root.Stop(own)
		begun := time.Now()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestATaskThatComesTooLateHoldsNobodyUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		handler := func(context.Context, task.Job[kit.Greeting]) error { return nil }
		chassis.Handle(sys, task.Define[kit.Greeting]("greet"), handler)
		if err := sys.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		chassis.Handle(sys, task.Define[kit.Greeting]("wrong", task.InPool("nowhere")), handler)
		if _, err := sys.Send(t.Context(), "wrong", kit.Greeting{}, task.Pool("mailer-tasks")); !errors.Is(err, chassis.ErrUnregistered) {
			t.Errorf("sent under a name that could not be registered: %v", err)
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		chassis.Handle(sys, task.Define[kit.Greeting]("late"), handler)
		if took := time.Since(begun); took > 0 {
			t.Errorf("Handle after Stop took %v", took)
		}
	})
}

func TestReadyAnswersInTimeOfAQueueThatDoesNot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newHangable(t)
		p.hang.Store(true)
		time.Sleep(time.Minute) // what was known is old
		begun := time.Now()
		r := p.sys.Ready(context.Background())
		if took := time.Since(begun); took > 2*time.Second || r.OK() {
			t.Errorf("after %v: %+v", took, r)
		}
		if err := p.sys.Stop(context.Background()); err != nil {
			t.Log(err) // what the queue did not take
		}
	})
}

// hangable is a system at work, and a switch that stops its queue from answering.
type hangable struct {
	sys  *chassis.System
	next sqsclient.Doer
	hang atomic.Bool
}

func (h *hangable) Do(r *http.Request) (*http.Response, error) {
	if h.hang.Load() {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return h.next.Do(r)
}

func newHangable(t *testing.T) *hangable {
	t.Helper()
	queue, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &hangable{next: queue.HTTPClient()}
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(h))
	if err != nil {
		t.Fatal(err)
	}
	h.sys, err = chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithSQS(client), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	chassis.Handle(h.sys, task.Define[kit.Greeting]("greet"), func(context.Context, task.Job[kit.Greeting]) error { return nil })
	if err := h.sys.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRunReturnsWhenSomebodyElseStopsTheSystem(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	events := sys.Log().Subscribe(t.Context(), 100).Lines()
	ended := make(chan error, 1)
	go func() { ended <- sys.Run(context.Background()) }()
	for line := range events {
		if strings.Contains(line, `"running"`) {
			break
		}
	}
	if err := sys.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNoBreakerOutlivesItsSystem: one that is made while the system stops is
// stopped too, or refused.
func TestNoBreakerOutlivesItsSystem(t *testing.T) {
	for range 20 {
		sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
		if err != nil {
			t.Fatal(err)
		}
		made := make([][]*breaker.Breaker, 4)
		var work sync.WaitGroup
		begun := make(chan struct{}, len(made))
		for k := range made {
			work.Go(func() {
				defer func() { _ = recover() }() // refused
				for i := 0; ; i++ {
					made[k] = append(made[k], sys.Breaker(fmt.Sprintf("https://host-%d-%d", k, i)))
					if i == 3 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range made {
			<-begun
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		work.Wait()
		for _, list := range made {
			for _, b := range list {
				if err := b.Reset(""); !errors.Is(err, breaker.ErrStopped) {
					t.Fatalf("the breaker of %s goes on: %v", b.Service(), err)
				}
			}
		}
	}
}
