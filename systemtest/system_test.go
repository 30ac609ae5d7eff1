package systemtest_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

func TestATaskRunsWithItsJob(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	greet := task.Define[kit.Greeting]("greet")
	got := make(chan task.Job[kit.Greeting], 1)
	chassis.Handle(sys, greet, func(ctx context.Context, job task.Job[kit.Greeting]) error {
		got <- job
		return nil
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	execID, err := chassis.Send(t.Context(), sys, greet, kit.Greeting{To: "Zoë"}, task.ForJob("7", "spring"))
	if err != nil {
		t.Fatal(err)
	}
	job := <-got
	if job.Args.To != "Zoë" || job.ExecID != execID || job.JobID != "7" || job.JobName != "spring" || job.Attempt != 1 {
		t.Errorf("got %+v %+v", job.Args, job.Info)
	}
}

func TestARunningTaskEndsBeforeTheSystemStops(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	slow := task.Define[kit.Greeting]("slow")
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	chassis.Handle(sys, slow, func(ctx context.Context, job task.Job[kit.Greeting]) error {
		close(begun)
		<-finish
		done <- ctx.Err()
		return nil
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := chassis.Send(t.Context(), sys, slow, kit.Greeting{}); err != nil {
		t.Fatal(err)
	}
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- sys.Stop(context.Background()) }()
	for sys.State() != chassis.Stopping {
		runtime.Gosched() // the state is what is waited for: Stop has no other sign
	}
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("the running task saw %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestExhaustedTasksAreListedAndSentBack(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	fail := make(chan bool, 1)
	fail <- true
	ran := make(chan int, 8)
	flaky := task.Define[kit.Greeting]("flaky", task.MaxFailures(1))
	chassis.Handle(sys, flaky, func(_ context.Context, job task.Job[kit.Greeting]) error {
		defer func() { ran <- job.Attempt }()
		select {
		case <-fail:
			return errors.New("no such luck")
		default:
			return nil
		}
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	execID, err := chassis.Send(t.Context(), sys, flaky, kit.Greeting{To: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for e := range events.C {
		if e.Kind == "settled" {
			break
		}
	}
	<-ran
	n := 0
	for d, err := range sys.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if d.ExecID != execID || d.Reason != task.ReasonExhausted || d.LastError != "no such luck" || d.Failures != 1 {
			t.Errorf("dead letter %+v", d.Message)
		}
		if err := d.SendBack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n != 1 {
		t.Fatalf("%d dead letters", n)
	}
	if attempt := <-ran; attempt != 1 {
		t.Errorf("sent back it ran as attempt %d, want 1: a fresh budget", attempt)
	}
	for d, err := range sys.DeadLetters(t.Context()) {
		t.Errorf("still dead: %+v, %v", d, err)
	}
}

func TestBadInputSaysWhatToDo(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	_, err := sys.Send(t.Context(), "welcom", kit.Greeting{})
	if !errors.Is(err, chassis.ErrUnregistered) || !strings.Contains(err.Error(), `"welcom"`) || !strings.Contains(err.Error(), "chassis.Handle") {
		t.Errorf("an unregistered task: %v", err)
	}
	if _, err := chassis.New(""); err == nil {
		t.Error("a service without a name was taken")
	}
	for name, c := range map[string]struct {
		change func(*chassis.Settings)
		want   []string
	}{
		"two kinds of queue": {func(s *chassis.Settings) {
			s.Queue.Region, s.Queue.Path, s.Tasks.TaskPool = "eu-central-1", "x.db", "p"
		}, []string{"queue:", "path", "leave out"}},
		"bad pool":     {func(s *chassis.Settings) { s.Tasks.TaskPool = "Mailer Tasks" }, []string{"tasks.task_pool", "Mailer Tasks"}},
		"bad endpoint": {func(s *chassis.Settings) { s.Queue.Endpoint = "ftp://x"; s.Tasks.TaskPool = "p" }, []string{"ftp://x", "http://"}},
		"bad breaker":  {func(s *chassis.Settings) { s.CircuitBreaker.FailStatus = "5xy" }, []string{"circuit_breaker:", "5xy", "5xx,429"}},
		"bad workers":  {func(s *chassis.Settings) { s.Tasks.Workers = -1 }, []string{"workers", "-1"}},
	} {
		s := chassis.DefaultSettings()
		c.change(&s)
		_, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger())
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not hold %q: %v", name, w, err)
			}
		}
	}
}

func TestAServiceHasOneBreakerHoweverItIsWritten(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	mail := sys.Breaker("https://mail.internal")
	for _, as := range []string{"HTTPS://Mail.Internal", "https://mail.internal:443", "https://mail.internal/"} {
		if sys.Breaker(as) != mail {
			t.Errorf("%s has a breaker of its own", as)
		}
	}
	if all := sys.Breakers(); len(all) != 1 || all[0].Service() != "https://mail.internal" {
		t.Errorf("%d breakers: %v", len(all), all)
	}
}

func TestGuardLogsThePanicAndLetsItGoOn(t *testing.T) {
	sys, log := kit.NewSystem(t, nil)
	func() {
		defer func() {
			if r := recover(); r != "the sky falls" {
				t.Errorf("recovered %v, want the panic", r)
			}
		}()
		defer sys.Guard()
		panic("the sky falls")
	}()
	if err := sys.Log().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "the sky falls") || !strings.Contains(log.String(), "system_test.go") {
		t.Errorf("the log does not hold the panic and its stack: %s", log)
	}
}

// nested is a task actor with children of its own, which answers Failed while
// they live.
type nested struct {
	ran     bool
	reused  *atomic.Bool
	results chan<- int
}

func (n *nested) Receive(c actor.Context) {
	m, ok := c.Message().(*dispatcher.Execute)
	if !ok {
		return
	}
	for range 3 {
		c.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	}
	if n.ran {
		n.reused.Store(true)
	}
	n.ran = true
	if m.Info.Attempt < 4 {
		c.Respond(&dispatcher.Failed{Err: errors.New("not yet")})
		return
	}
	c.Respond(dispatcher.Done{})
	n.results <- m.Info.Attempt
}

func TestARetryOfATaskActorWithChildrenIsANewInstance(t *testing.T) {
	sys, _ := kit.NewSystem(t, func(s *chassis.Settings) { s.Log.Level = "error"; s.Tasks.Workers, s.Tasks.MaxWorkers = 20, 20 })
	var reused atomic.Bool
	results := make(chan int, 100)
	sys.Register("nested", actor.PropsFromProducer(func() actor.Actor { return &nested{reused: &reused, results: results} }),
		task.MaxFailures(5), task.Wait(0, task.None))
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := sys.Send(t.Context(), "nested", kit.Greeting{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if attempt := <-results; attempt != 4 {
			t.Fatalf("done at attempt %d, want 4", attempt)
		}
	}
	if reused.Load() {
		t.Error("an instance got a second Execute")
	}
}
