package health

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("connection refused")

// dependency is up or down, or does not answer.
type dependency struct {
	down, hangs  atomic.Bool
	runs, inside atomic.Int64
	overlapped   atomic.Bool
	free         chan struct{}
}

func newDependency() *dependency { return &dependency{free: make(chan struct{})} }

func (d *dependency) ping(context.Context) error {
	d.runs.Add(1)
	if d.inside.Add(1) > 1 {
		d.overlapped.Store(true)
	}
	defer d.inside.Add(-1)
	if d.hangs.Load() {
		<-d.free // whatever its ctx says
	}
	if d.down.Load() {
		return errDown
	}
	return nil
}

// bubble runs f with a group in simulated time.
func bubble(t *testing.T, changed func(string, bool), f func(t *testing.T, g *Group)) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Changed: changed})
		f(t, g)
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestACheckFollowsItsDependency(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		d := newDependency()
		g.Add("db", d.ping)
		if s := g.Status()[0]; s.Known || s.Up {
			t.Errorf("before the start: %+v", s)
		}
		if err := g.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if s := g.Status()[0]; !s.Up || !s.Known || !s.Readiness || s.Tasks || s.Error != "" {
			t.Errorf("up: %+v", s)
		}
		d.down.Store(true)
		pass(11 * time.Second) // an interval and its jitter
		s := g.Status()[0]
		if s.Up || s.Error != errDown.Error() || s.Failures != 1 {
			t.Errorf("down: %+v", s)
		}
		d.down.Store(false)
		pass(11 * time.Second)
		if s := g.Status()[0]; !s.Up || s.Error != "" || s.Failures != 0 {
			t.Errorf("up again: %+v", s)
		}
		if n := d.runs.Load(); n != 3 {
			t.Errorf("%d runs in 23 s", n)
		}
	})
}

// As of several libraries, where each run that hangs leaves a goroutine, and the last
// good result stands meanwhile (goharbor/harbor#23840, hellofresh/health-go#224).
func TestACheckThatHangsIsFailingAndDoesNotPileUp(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		d := newDependency()
		g.Add("db", d.ping, Every(time.Second), Within(2*time.Second))
		_ = g.Start(t.Context())
		pass(time.Millisecond)
		d.hangs.Store(true)
		pass(time.Hour)
		if s := g.Status()[0]; s.Up || !strings.Contains(s.Error, "no answer within 2s") {
			t.Errorf("%+v", s)
		}
		if n := d.inside.Load(); n != 1 || d.overlapped.Load() {
			t.Errorf("%d runs are under way, overlapped %v", n, d.overlapped.Load())
		}
		d.hangs.Store(false)
		close(d.free)
		pass(2 * time.Second)
		if s := g.Status()[0]; !s.Up || d.overlapped.Load() {
			t.Errorf("after it has returned: %+v", s)
		}
	})
}

func TestACheckThatIgnoresItsCtxIsNamedAtTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(Config{})
		d := newDependency()
		d.hangs.Store(true)
		g.Add("deaf", d.ping)
		_ = g.Start(t.Context())
		pass(time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := g.Stop(ctx); err == nil || !strings.Contains(err.Error(), `"deaf"`) {
			t.Errorf("error %v", err)
		}
		close(d.free)
	})
}

func TestAPanicOfACheckIsAFailure(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		g.Add("nil", func(context.Context) error { var p *int; *p = 1; return nil })
		_ = g.Start(t.Context())
		pass(time.Millisecond)
		if s := g.Status()[0]; s.Up || !strings.Contains(s.Error, "nil pointer") {
			t.Errorf("%+v", s)
		}
	})
}

// A check that ended its goroutine hung for good, and was named at each stop.
func TestACheckThatEndsItsGoroutineIsAFailure(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		g.Add("gone", func(context.Context) error { runtime.Goexit(); return nil })
		_ = g.Start(t.Context())
		pass(3 * DefaultInterval)
		if s := g.Status()[0]; s.Up || s.Failures < 2 || !strings.Contains(s.Error, "Goexit") {
			t.Errorf("%+v", s)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The answer of a service that is away may be long: what is kept and shown of it is not.
func TestTheErrorOfACheckIsBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		g.Add("chatty", func(context.Context) error { return errors.New(strings.Repeat("x", 1<<20)) })
		_ = g.Start(t.Context())
		pass(time.Millisecond)
		if n := len(g.Status()[0].Error); n == 0 || n > 4096 {
			t.Errorf("%d bytes are kept", n)
		}
	})
}

func TestSomeFailuresInARowMayPass(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		d, never := newDependency(), newDependency()
		never.down.Store(true)
		g.Add("db", d.ping, Every(time.Second), FailAfter(3))
		g.Add("never", never.ping, Every(time.Second), FailAfter(3))
		_ = g.Start(t.Context())
		pass(time.Millisecond)
		if s := g.Status()[1]; s.Up {
			t.Errorf("it has never passed: %+v", s)
		}
		d.down.Store(true)
		for d.runs.Load() < 3 {
			pass(100 * time.Millisecond)
		}
		if s := g.Status()[0]; !s.Up || s.Failures != 2 {
			t.Errorf("after two failures: %+v", s)
		}
		pass(1200 * time.Millisecond)
		if s := g.Status()[0]; s.Up || s.Failures < 3 {
			t.Errorf("after three failures: %+v", s)
		}
	})
}

// The processes of a service do not ask all at once.
func TestRunsAreSpread(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := jittered(10 * time.Second)
		least, most = min(least, d), max(most, d)
	}
	if least < 9*time.Second || most > 11*time.Second || most-least < time.Second {
		t.Errorf("from %v to %v", least, most)
	}
}

// Start returns once it is known whether tasks may run.
func TestTasksWaitForTheFirstResult(t *testing.T) {
	var said []string
	bubble(t, func(name string, up bool) {
		said = append(said, name+map[bool]string{true: " up", false: " down"}[up])
	}, func(t *testing.T, g *Group) {
		d, slow := newDependency(), newDependency()
		d.down.Store(true)
		slow.hangs.Store(true)
		g.Add("db", d.ping, ForTasks(), Every(time.Second))
		g.Add("cache", slow.ping, ForTasks(), Within(3*time.Second))
		g.Add("other", slow.ping)
		begun := time.Now()
		if err := g.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("the start took %v", took)
		}
		d.down.Store(false)
		pass(1500 * time.Millisecond)
		if got := strings.Join(said, ", "); got != "db down, cache down, db up" {
			t.Errorf("said %q", got)
		}
		if s := g.Status()[0]; s.Readiness || !s.Tasks {
			t.Errorf("%+v", s)
		}
		close(slow.free)
	})
}

// A failure of a task is judged by a run that began after it.
func TestAFailureDuringAnOutageIsOne(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		d, info := newDependency(), newDependency()
		info.down.Store(true)
		g.Add("db", d.ping, ForTasks(), Every(time.Minute))
		g.Add("info", info.ping, ForInformation())
		_ = g.Start(t.Context())
		pass(time.Second)
		failure := errors.New("550 user unknown")
		if err := g.Judge(t.Context(), failure); err != failure {
			t.Errorf("with all up: %v", err)
		}
		d.down.Store(true)
		var outage *Outage
		err := g.Judge(t.Context(), failure)
		if !errors.As(err, &outage) || outage.Check != "db" || !errors.Is(err, failure) || outage.RetryAfter() != time.Minute || !outage.BreakerOpen() {
			t.Errorf("with the database down: %v", err)
		}
		before := d.runs.Load()
		for range 100 {
			_ = g.Judge(t.Context(), failure)
		}
		if n := d.runs.Load() - before; n > 0 {
			t.Errorf("a hundred failures in an outage made %d runs", n)
		}
	})
}

func TestManyFailuresMakeFewRuns(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		d := newDependency()
		g.Add("db", d.ping, ForTasks())
		_ = g.Start(t.Context())
		begun := time.Now()
		done := make(chan struct{})
		for range 1000 {
			go func() { _ = g.Judge(t.Context(), errDown); done <- struct{}{} }()
		}
		for range 1000 {
			<-done
		}
		if n := d.runs.Load(); n > 3 || time.Since(begun) > time.Second {
			t.Errorf("%d runs in %v", n, time.Since(begun))
		}
	})
}

func TestMistakesOfChecksAreErrorsOfTheStart(t *testing.T) {
	ok := func(context.Context) error { return nil }
	for want, add := range map[string]func(*Group){
		"has no function": func(g *Group) { g.Add("db", nil) },
		"/readyz/NAME":    func(g *Group) { g.Add("a/b", ok) },
		"one of":          func(g *Group) { g.Add("task_queues", ok) },
		"two checks":      func(g *Group) { g.Add("db", ok); g.Add("db", ok) },
		"200 checks already": func(g *Group) {
			for i := range 201 {
				g.Add("db"+strings.Repeat("x", i%100)+map[bool]string{true: "y"}[i >= 90], ok)
			}
			for i := range 201 {
				g.Add("c"+strings.Repeat("z", i%90)+strings.Repeat("w", i/90), ok)
			}
		},
	} {
		g := NewGroup(Config{})
		add(g)
		if err := g.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestACheckThatIsAddedLaterRunsAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, g *Group) {
		_ = g.Start(t.Context())
		d := newDependency()
		g.Add("db", d.ping)
		g.Add("db", d.ping) // is logged
		pass(time.Millisecond)
		if list := g.Status(); len(list) != 1 || !list[0].Up {
			t.Errorf("%+v", list)
		}
	})
}
