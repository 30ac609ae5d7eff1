package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
	"pgregory.net/rapid"
)

// act is what an attempt does, or what is done to it.
type act string

const (
	succeed  act = "succeed"
	fail     act = "fail"
	throw    act = "panic"
	goexit   act = "goexit"
	retry    act = "retry" // with a wait of its own
	snooze   act = "snooze"
	refused  act = "refused" // by an open breaker
	cancel   act = "cancel"
	crashed  act = "crash"    // the process dies under it
	drained  act = "drain"    // the process stops; it obeys its ctx
	stubborn act = "stubborn" // the process stops; it does not
	hang     act = "hang"     // beyond its deadline, deaf
)

type step struct {
	act  act
	wait time.Duration
}

type history struct {
	max     int
	wait    task.Backoff
	ahead   time.Duration // scheduled so far ahead
	steps   []step
	late    bool // each process knows the task only after 25 s
	release bool // drained once while it waits, after its first failure
}

var waits = []time.Duration{0, time.Second, 29 * time.Second, 31 * time.Second, 10 * time.Minute, 20 * time.Minute, 13 * time.Hour}

func histories() *rapid.Generator[history] {
	return rapid.Custom(func(t *rapid.T) history {
		h := history{
			max: rapid.IntRange(1, 8).Draw(t, "max"),
			wait: task.Backoff{
				Base:        rapid.SampledFrom(waits).Draw(t, "wait"),
				Progression: rapid.SampledFrom([]task.Progression{task.None, task.Arithmetic, task.Geometric}).Draw(t, "progression"),
			},
			ahead:   rapid.SampledFrom([]time.Duration{0, 0, 0, 301 * time.Second, 10 * time.Minute, time.Hour, 5 * 24 * time.Hour}).Draw(t, "ahead"),
			late:    rapid.Bool().Draw(t, "late"),
			release: rapid.Bool().Draw(t, "release"),
		}
		acts := []act{crashed, crashed, crashed, crashed, fail, snooze}
		if rapid.IntRange(0, 4).Draw(t, "crashes") > 0 {
			acts = []act{succeed, fail, fail, fail, fail, fail, snooze, refused, drained, crashed, throw, retry, goexit, retry, snooze, refused, cancel, crashed, drained, stubborn, hang}
		}
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			s := step{rapid.SampledFrom(acts).Draw(t, "act"), rapid.SampledFrom(waits).Draw(t, "own wait")}
			if s.act == refused && s.wait == 29*time.Second {
				s.wait = 20 * time.Second // it is spread by up to a quarter: clear of the 30 s that decide where it is spent
			}
			h.steps = append(h.steps, s)
		}
		return h
	})
}

// model says what must come of a history: how many runs, done or dead, and
// the least time before each run but the first.
func (h history) model() (runs int, end string, failures int, pauses []time.Duration) {
	here := 0   // failures that only this process knows of: waits spent in place
	silent := 0 // crashes in a row
	for i := 0; ; i++ {
		s := step{act: succeed}
		if i < len(h.steps) {
			s = h.steps[i]
		}
		runs++
		written := false // a run that explains crashes is written down
		if s.act != crashed {
			written, silent = silent > 0, 0
		}
		pause := time.Duration(0)
		switch s.act {
		case succeed:
			return runs, "done", failures, pauses
		case cancel:
			return runs, task.ReasonCancelled, failures, pauses
		case fail, throw, goexit, hang:
			failures++
			here++
			pause = h.wait.Delay(failures)
		case retry:
			failures++
			here++
			pause = s.wait
		case stubborn:
			failures++
		case crashed:
			failures -= here
			here = 0
			if silent++; silent > 3 && failures+silent >= h.max {
				return runs, task.ReasonExhausted, failures, pauses
			}
		case snooze, refused:
			pause = s.wait
		case drained:
		}
		if failures >= h.max {
			return runs, task.ReasonExhausted, failures, pauses
		}
		if written || pause > 30*time.Second || s.act == drained || s.act == stubborn || s.act == hang {
			here = 0 // given back
		}
		pauses = append(pauses, pause)
	}
}

type openErr struct{ d time.Duration }

func (openErr) Error() string               { return "breaker is open" }
func (openErr) BreakerOpen() bool           { return true }
func (e openErr) RetryAfter() time.Duration { return e.d }

// TestBudgetAgainstModel: in random histories of outcomes, crashes, waits,
// snoozes, drains and releases a task runs exactly as often as the model says,
// ends as it says, and never before its wait is over.
func TestBudgetAgainstModel(t *testing.T) {
	batch := sized(100, 20, 5) // rapid draws 100 batches
	played, runs := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfN(histories(), batch, batch).Draw(rt, "histories")
		played += len(list)
		problem, n := play(t, list)
		if runs += n; problem != "" {
			rt.Fatal(problem)
		}
	})
	t.Logf("%d histories, %d executions", played, runs)
}

// play runs histories for real, one after the other, and compares.
func play(t *testing.T, list []history) (problem string, runs int) {
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		for _, h := range list {
			r := newRig(t, system, "pool", dispatcher.Settings{AbandonAfter: time.Second})
			p := &player{history: h, rig: scripted{r}, idle: 6 * time.Hour, ask: make(chan act), free: make(chan struct{})}
			problem = p.run()
			close(p.free)
			r.down()
			runs += p.runs()
			if problem != "" {
				problem = fmt.Sprintf("%s\nhistory: %+v", problem, h)
				break
			}
		}
		shutdown(system)
	})
	return problem, runs
}

// partner is the dispatcher of a history, with a queue.
type partner interface {
	up()
	crash()
	drain()
	handle(name string, h task.RawHandler, policies ...task.Policy)
	send(name string, args any, opts ...task.Option)
	left() int
	dead() []task.Message
}

// scripted is a rig as a partner.
type scripted struct{ *rig }

func (s scripted) send(name string, args any, opts ...task.Option) { s.rig.send(name, args, opts...) }

func (s scripted) drain() {
	if _, err := s.client.Drain(s.ctx(), time.Now().Add(time.Second)); err != nil {
		s.t.Error(err)
	}
	s.system.Root.Stop(s.pid)
	synctest.Wait()
}

type player struct {
	history
	rig    partner
	ask    chan act      // what the process is to undergo
	free   chan struct{} // closed at the end: lets stubborn handlers go
	idle   time.Duration // longer than any wait but those that leave the message on the queue
	mu     sync.Mutex
	starts []time.Time
}

// begin notes a run and returns what it is to do.
func (p *player) begin() step {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := len(p.starts)
	p.starts = append(p.starts, time.Now())
	if i < len(p.steps) {
		return p.steps[i]
	}
	return step{act: succeed}
}

func (p *player) runs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.starts)
}

// waits reports whether the task has run and no run can be under way: the last
// began longer ago than its deadline and the time for a deaf handler.
func (p *player) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.starts)
	return n > 0 && time.Since(p.starts[n-1]) > 2*time.Minute
}

func (p *player) handler(ctx context.Context, job raw) error {
	s := p.begin()
	switch s.act {
	case fail:
		return errors.New("failed")
	case throw:
		panic("thrown")
	case goexit:
		runtime.Goexit()
	case retry:
		return task.RetryAfter(errors.New("later"), s.wait)
	case snooze:
		return task.Snooze(s.wait)
	case refused:
		return fmt.Errorf("call: %w", openErr{s.wait})
	case cancel:
		return task.Cancel(errors.New("never"))
	case crashed, drained:
		p.ask <- s.act
		<-ctx.Done()
		return ctx.Err()
	case stubborn:
		p.ask <- s.act
		<-p.free
	case hang:
		<-p.free
	}
	return nil
}

func (p *player) register() {
	policies := []task.Policy{task.MaxFailures(p.max), task.Wait(p.wait.Base, p.wait.Progression), task.Deadline(time.Minute)}
	p.rig.handle("t", p.handler, policies...)
}

func (p *player) run() string {
	r := p.rig
	p.register()
	begin := time.Now()
	r.send("t", nil, task.At(begin.Add(p.ahead)))
	for idle := 0; idle < 3; {
		select {
		case a := <-p.ask:
			idle = 0
			p.undergo(a)
		case <-time.After(p.idle):
			if p.release && p.waits() {
				p.release = false
				p.undergo(drained)
			}
			if idle++; r.left() > 0 {
				idle = 0
			}
		}
		if p.runs() > 100 {
			return "runs for ever"
		}
	}
	return p.compare(begin)
}

func (p *player) undergo(a act) {
	r := p.rig
	if a == crashed {
		// A crash between a fresh copy and the delete of the old message runs a
		// task twice, which is promised; the model is of crashes after that.
		time.Sleep(time.Second)
		r.crash()
	} else {
		r.drain()
	}
	r.up()
	if p.late {
		time.Sleep(25 * time.Second)
	}
	p.register()
}

func (p *player) compare(begin time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	runs, end, failures, pauses := p.model()
	if len(p.starts) != runs {
		return fmt.Sprintf("%d runs, the model says %d", len(p.starts), runs)
	}
	if earliest := begin.Add(p.ahead - 301*time.Second); p.starts[0].Before(earliest) {
		return fmt.Sprintf("the first run is %v early", earliest.Sub(p.starts[0]))
	}
	dead := p.rig.dead()
	switch {
	case end == "done" && len(dead) != 0, end != "done" && len(dead) != 1:
		return fmt.Sprintf("%d dead letters, the model says %s", len(dead), end)
	case end != "done" && (dead[0].Reason != end || dead[0].Failures != failures):
		return fmt.Sprintf("dead letter %s with %d failures, the model says %s with %d", dead[0].Reason, dead[0].Failures, end, failures)
	}
	for i, want := range pauses {
		if got := p.starts[i+1].Sub(p.starts[i]); got < want {
			return fmt.Sprintf("run %d came %v after the one before, want at least %v", i+2, got, want)
		}
	}
	if left := p.rig.left(); left != 0 {
		return fmt.Sprintf("%d messages left", left)
	}
	if i := slices.IndexFunc(p.steps, func(s step) bool { return s.act == crashed }); i < 0 && len(p.starts) > p.max && end == task.ReasonExhausted && !p.neutral() {
		return "more runs than max failures"
	}
	return ""
}

// neutral reports whether some step spends nothing.
func (p *player) neutral() bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.act == snooze || s.act == refused || s.act == drained })
}
