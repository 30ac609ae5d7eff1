package logger

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/task"
)

func jobCtx(id string) context.Context {
	return task.WithInfo(context.Background(), &task.Info{
		Task: "welcome", ExecID: "e-" + id, JobID: id, JobName: "name of " + id, Attempt: 2,
	})
}

func TestEveryRecordCarriesServiceAndJob(t *testing.T) {
	for _, running := range []bool{false, true} {
		out := &sink{}
		l := newLogger(t, Settings{}, out)
		if running {
			start(t, l)
		}
		l.Slog().Info("outside")
		l.Slog().InfoContext(jobCtx("j1"), "inside")
		l.Slog().Info("outside again")
		flush(t, l)
		got := out.lines(t)
		if len(got) != 3 {
			t.Fatalf("running=%v: %d lines, want 3", running, len(got))
		}
		for i, want := range []map[string]any{
			{"service": "mailer", "job_id": "unknown", "job_name": "unknown", "exec_id": nil, "attempt": nil},
			{"service": "mailer", "job_id": "j1", "job_name": "name of j1", "exec_id": "e-j1", "attempt": 2.0, "task": "welcome"},
			{"service": "mailer", "job_id": "unknown", "job_name": "unknown", "exec_id": nil, "attempt": nil},
		} {
			for k, v := range want {
				if got[i][k] != v {
					t.Errorf("running=%v, line %d: %s = %v, want %v", running, i, k, got[i][k], v)
				}
			}
		}
		balanced(t, l)
	}
}

func TestTraceOfTheCtx(t *testing.T) {
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{0x4b, 0xf9, 15: 0x36},
		SpanID:     trace.SpanID{0x00, 0xf0, 7: 0xb7},
		TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(context.Background(), sc)
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	l.Slog().InfoContext(ctx, "m")
	m := out.last(t)
	if m["trace_id"] != sc.TraceID().String() || m["span_id"] != sc.SpanID().String() || m["trace_flags"] != "01" {
		t.Errorf("trace fields are %v %v %v", m["trace_id"], m["span_id"], m["trace_flags"])
	}
	out = &sink{}
	l = newLogger(t, Settings{Format: FormatStackdriver}, out, WithProject("p1"))
	l.Slog().InfoContext(ctx, "m")
	m = out.last(t)
	if m["logging.googleapis.com/trace"] != "projects/p1/traces/"+sc.TraceID().String() ||
		m["logging.googleapis.com/spanId"] != sc.SpanID().String() ||
		m["logging.googleapis.com/trace_sampled"] != true {
		t.Errorf("trace fields: %v", m)
	}
}

// gate is a writer that holds every write until it is let through.
type gate struct {
	sink
	entered chan struct{}
	open    chan struct{}
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}, 1<<16), open: make(chan struct{})}
}

func (g *gate) Write(b []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.sink.Write(b)
}

func TestErrorIsWrittenBeforeTheCallReturns(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{}, out)
	start(t, l)
	l.Slog().Info("held up") // returns though nothing can be written
	<-out.entered
	returned := make(chan string, 1)
	go func() {
		l.Slog().Error("bad")
		returned <- out.String()
	}()
	select {
	case <-returned:
		t.Fatal("the call returned while the output was stalled")
	case <-time.After(20 * time.Millisecond):
	}
	close(out.open)
	if got := <-returned; !strings.Contains(got, `"msg":"bad"`) {
		t.Errorf("the call returned and the output has only %q", got)
	}
}

func TestStopFlushesAndLaterRecordsAreWrittenDirectly(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{}, out)
	if _, err := l.Start(newSystem(t, l)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		l.Slog().Info("before")
	}
	close(out.open)
	stop(t, l)
	if n := strings.Count(out.String(), `"before"`); n != 1000 {
		t.Errorf("%d of 1000 records are written after Stop", n)
	}
	l.Slog().Info("after")
	if n := strings.Count(out.String(), `"after"`); n != 1 {
		t.Error("a record after Stop is not written when its call has returned")
	}
	stop(t, l) // again
	if _, err := l.Start(newSystem(t, l)); err != nil {
		t.Errorf("a stopped logger cannot be started again: %v", err)
	}
	l.Slog().Error("running again")
	stop(t, l)
	balanced(t, l)
}

// What was sent to the logger's address got no answer from then on, in silence.
func TestALoggerThatAnotherActorStoppedBeginsAgain(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	system := newSystem(t, l)
	pid, err := l.Start(system)
	if err != nil {
		t.Fatal(err)
	}
	l.Slog().Info("one")
	if err := system.Root.PoisonFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
	l.Slog().Info("two")
	if _, err := actors.Ask[Stats](t.Context(), system, pid, &Describe{}); err != nil {
		t.Error(err)
	}
	flush(t, l)
	if got := out.lines(t); len(got) != 3 || !strings.Contains(out.String(), "it begins again") {
		t.Errorf("%d lines, want 3: %s", len(got), out.String())
	}
	stop(t, l)
	if _, err := actors.Ask[Stats](t.Context(), system, pid, &Describe{}); !errors.Is(err, actors.ErrDeadLetter) {
		t.Errorf("after Stop: %v", err)
	}
}

// TestThousandRestartsLoseNothing crashes the writing actor on every other
// message while four callers log.
func TestThousandRestartsLoseNothing(t *testing.T) {
	out := &sink{}
	var mu sync.Mutex
	crashes := 0
	crash := actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
			if _, ok := env.Message.(*wake); ok {
				mu.Lock()
				now := crashes < 1000
				if now {
					crashes++
				}
				mu.Unlock()
				if now {
					panic("forced")
				}
			}
			next(c, env)
		}
	})
	l := newLogger(t, Settings{Levels: map[string]Level{"actor": "emergency"}}, out, WithProps(crash))
	start(t, l)
	const callers, atLeast, atMost = 4, 5000, 200000
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return crashes >= 1000
	}
	var sent [callers]int
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			log := l.Slog().With("caller", c)
			for i := 0; i < atLeast || i < atMost && !enough(); i++ {
				log.Info("m", "i", i)
				sent[c]++
				if i%16 == 0 {
					flush(t, l) // the ring goes idle, and the next record wakes
				}
			}
		})
	}
	wg.Wait()
	flush(t, l)
	if !enough() {
		t.Fatal("fewer than 1000 restarts were forced")
	}
	next := map[float64]float64{}
	for _, m := range out.lines(t) {
		c := m["caller"].(float64)
		if m["i"].(float64) != next[c] {
			t.Fatalf("caller %v: record %v comes where %v was due", c, m["i"], next[c])
		}
		next[c]++
	}
	for c := range callers {
		if next[float64(c)] != float64(sent[c]) {
			t.Errorf("caller %d: %v of %d records", c, next[float64(c)], sent[c])
		}
	}
	balanced(t, l)
}

func TestGuardFlushesAndPanicsOn(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{}, out)
	start(t, l)
	cause := errors.New("cause")
	func() {
		defer func() {
			if r := recover(); r != cause {
				t.Errorf("recovered %v, want the original panic", r)
			}
		}()
		defer l.Guard()
		for range 100 {
			l.Slog().Info("before")
		}
		close(out.open)
		panic(cause)
	}()
	if n := strings.Count(out.String(), `"before"`); n != 100 {
		t.Errorf("%d of 100 records are written", n)
	}
	m := out.last(t)
	if m["msg"] != "panic" || m["panic"] != "cause" || !strings.Contains(m["stack"].(string), "TestGuardFlushes") {
		t.Errorf("the panic is logged as %v", m)
	}
}

func TestReservedAndDuplicateKeys(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	l.Slog().With("a", 1, "service", "mine", "b", 2).Info("m",
		"a", 3, "job_id", "mine", "time", "mine", slog.Group("g", "x", 1, "y", 2, "x", 3, "job_id", "fine"), "b", 4)
	line := out.String()
	m := out.last(t)
	for k, want := range map[string]any{
		"service": "mailer", "fields.service": "mine", "job_id": "unknown", "fields.job_id": "mine",
		"fields.time": "mine", "a": 3.0, "b": 4.0,
	} {
		if m[k] != want {
			t.Errorf("%s = %v, want %v\n%s", k, m[k], want, line)
		}
	}
	if g := m["g"].(map[string]any); g["x"] != 3.0 || g["y"] != 2.0 || g["job_id"] != "fine" {
		t.Errorf("g = %v", g)
	}
	for _, once := range []string{`"a":`, `"b":`, `"x":`} {
		if n := strings.Count(line, once); n != 1 {
			t.Errorf("%s stands %d times in %s", once, n, line)
		}
	}
}

func TestSiblingsShareNoTail(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	base := l.Slog().With("base", 1)
	one := base.With("child", "one")
	two := base.With("child", "two")
	one.Info("m")
	if out.last(t)["child"] != "one" {
		t.Error("the second child wrote into the first")
	}
	two.Info("m")
	if out.last(t)["child"] != "two" {
		t.Error("the first child wrote into the second")
	}
}

// TestSystemRecordsDoNotRecurse sends dead letters while the output is stalled: the
// system's records go through the logger, and its wake-ups go through the system.
func TestSystemRecordsDoNotRecurse(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer}, out)
	l.SetLevel("actor", LevelEmergency) // until an actor takes the gate's writes
	system := actor.NewActorSystem(actor.WithLoggerFactory(l.SystemLogger()),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), actor.WithDeadLetterThrottleCount(1<<30))
	defer system.Shutdown()
	pid, err := l.Start(system)
	if err != nil {
		t.Fatal(err)
	}
	l.SetLevel("actor", slog.LevelDebug)
	missing := actor.NewPID(system.Address(), "missing")
	for range 5000 { // more than fits: none of these waits, though the output is stalled
		system.Root.Send(missing, "hello")
		system.Logger().Error("an error of the system's own")
	}
	balanced(t, l)
	close(out.open)
	flush(t, l)
	if err := system.Root.PoisonFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
	system.Root.Send(pid, &Reopen{}) // a dead letter that names the logger
	stop(t, l)
	got := out.String()
	if !strings.Contains(got, `"logger":"actor"`) || !strings.Contains(got, "[DeadLetter]") || l.Stats().Outputs[0].Dropped == 0 {
		t.Errorf("dead letters: %.300s, stats %+v", got, l.Stats().Outputs[0])
	}
	if n := strings.Count(got, "[DeadLetter]"); n > 5001 {
		t.Errorf("%d dead letters are logged, 5001 were sent", n)
	}
}
