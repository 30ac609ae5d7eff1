package chassistest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest/effects"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// rerunFault is what goes wrong in a case.
type rerunFault int

const (
	noFault      rerunFault = iota
	dieAtEnd                // the process dies when its delete is about to reach the queue
	dieBefore               // it dies before an effect
	dieAfter                // it dies after an effect
	refuseEffect            // an effect is refused by an error, in the whole first run
	unavailable             // a request is refused by the status 503, in the whole first run
	slow                    // an effect takes a while
)

// rerunCase is one case of one message.
type rerunCase struct {
	message int
	fault   rerunFault
	point   int    // the number of the effect
	at      string // the effect, for people
}

// String says what goes wrong.
func (c rerunCase) String() string {
	switch c.fault {
	case dieAtEnd:
		return "the process died after the handler's end, before its message was deleted"
	case dieBefore:
		return "the process died before: " + c.at
	case dieAfter:
		return "the process died after: " + c.at
	case refuseEffect:
		return "refused with an error in the first run: " + c.at
	case unavailable:
		return "answered with the status 503 in the first run: " + c.at
	case slow:
		return "took long: " + c.at
	}
	return "without a fault"
}

// rerunResult is what a case came to.
type rerunResult struct {
	task      string
	fault     rerunCase
	effects   []*effects.Effect
	outcome   Outcome // of the process that ended the task
	late      bool    // it did not end in time
	state     string
	byState   bool
	messages  int
	unmatched []string
	allow     func([]Accusation) []Accusation
}

// rerunGate makes the fault of a case happen in its first process.
type rerunGate struct {
	c        rerunCase
	slowness time.Duration
	recorder *effects.Recorder

	mu      sync.Mutex
	refused string // the effect that is refused, each time that it is tried
}

var errRerunRefused = errors.New("chassistest: refused by the test")

// Before implements [effects.Gate].
func (g *rerunGate) Before(ctx context.Context, made []*effects.Effect) error {
	e := made[0]
	if g.c.fault == refuseEffect || g.c.fault == unavailable {
		return g.refuse(e)
	}
	if e.Point != g.c.point {
		return nil
	}
	switch g.c.fault {
	case dieBefore:
		g.recorder.Die()
	case slow:
		timer := time.NewTimer(g.slowness)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (g *rerunGate) refuse(e *effects.Effect) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.Point == g.c.point {
		g.refused = string(e.Kind) + e.Name
	}
	if e.Run > 1 || g.refused != string(e.Kind)+e.Name {
		return nil
	}
	if g.c.fault == unavailable {
		return effects.ErrUnavailable
	}
	return errRerunRefused
}

// After implements [effects.Gate].
func (g *rerunGate) After(made []*effects.Effect) {
	if g.c.fault == dieAfter && made[0].Point == g.c.point {
		g.recorder.Die()
	}
}

// Skipped implements [effects.Gate].
func (g *rerunGate) Skipped([]*effects.Effect) {}

// rerunPlay is one case while it runs.
type rerunPlay struct {
	world     *Rerun
	c         rerunCase
	simulated bool
	log       effects.Log
	over      chan struct{}
	queue     *localsqs.Server
	door      rerunDoor
	ends      []func()
}

// run runs a case. The world must be fresh.
func (r *Rerun) run(c rerunCase, simulated bool) (*rerunResult, error) {
	if r.start == nil || len(r.messages) == 0 {
		return nil, errors.New("the world has no process or no message: call Rerun.Process, and chassistest.Message")
	}
	p := &rerunPlay{world: r, c: c, simulated: simulated, over: make(chan struct{}), queue: newQueue(r.t)}
	defer p.end()
	message := r.messages[c.message]
	result := &rerunResult{task: message.name, fault: c, messages: len(r.messages), byState: r.state != nil,
		allow: r.accepted}

	gate := &rerunGate{c: c, slowness: pick(simulated, slowness, slownessReal)}
	first, err := p.process(1, gate)
	if err != nil {
		return nil, err
	}
	gate.recorder = first.Recorder
	// The exec_id is the same in all worlds: keys that are made from it are compared.
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", c.message+1)
	if id, err = message.send(r.t.Context(), first.System, task.ExecID(id)); err != nil {
		return nil, fmt.Errorf("send a task: %w", err)
	}
	p.door.own = id
	if err := first.sys.Start(r.t.Context()); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	result.outcome, result.late = p.await(first, id)
	result.unmatched = r.unmatched(first.System)
	if first.Died() {
		if !simulated {
			first.door.under.Lock() // its last long poll must not get it
			p.door.release(p.queue)
			first.door.under.Unlock()
		}
		second, err := p.process(2, effects.Open{})
		if err != nil {
			return nil, err
		}
		if err := second.sys.Start(r.t.Context()); err != nil {
			return nil, fmt.Errorf("start the second process: %w", err)
		}
		result.outcome, result.late = p.await(second, id)
	}
	if c.fault == noFault {
		time.Sleep(pick(simulated, rest, restReal)) // what a handler has left behind goes on
	}
	result.effects = p.log.List()
	result.state, err = r.snapshot()
	return result, err
}

func pick(simulated bool, yes, no time.Duration) time.Duration {
	if simulated {
		return yes
	}
	return no
}

// end ends the world: what the dead hold is freed, then all that was started is stopped.
func (p *rerunPlay) end() {
	close(p.over)
	for i := len(p.ends) - 1; i >= 0; i-- {
		p.ends[i]()
	}
}

// rerunLife is a process of a play.
type rerunLife struct {
	*RerunProcess
	sys  *System
	door *rerunDoorOf
}

// process makes process number n; it is not started yet.
func (p *rerunPlay) process(n int, gate effects.Gate) (*rerunLife, error) {
	recorder := effects.New(&p.log, gate, n, p.over)
	door := &rerunDoorOf{rerunDoor: &p.door, recorder: recorder, deadly: p.c.fault == dieAtEnd && n == 1,
		next: p.queue.HTTPClient()}
	client, err := sqsclient.New(p.world.t.Context(), sqsclient.Settings{},
		sqsclient.WithHTTPClient(recorder.Queue(door, p.door.isOwn)))
	if err != nil {
		return nil, err
	}
	opts := []Option{
		Name("twice"), Beside(&System{Queue: p.queue}), Limit(pick(p.simulated, patience, patienceReal)),
		Options(chassis.WithSQS(client), chassis.WithMiddleware(p.counted(recorder))), quiet,
	}
	for _, change := range p.world.settings {
		opts = append(opts, Settings(change))
	}
	sys := New(p.world.t, opts...)
	life := &rerunLife{&RerunProcess{sys.System, recorder}, sys, door}
	p.ends = append(p.ends, func() {
		ctx := context.Background()
		if recorder.Died() {
			cut, cancel := context.WithCancel(ctx)
			cancel()
			ctx = cut
		}
		if err := sys.Stop(ctx); err != nil && !recorder.Died() {
			p.world.t.Logf("chassistest: Twice: stop of a process: %v", err)
		}
		recorder.End()
	})
	p.world.start(life.RerunProcess)
	return life, nil
}

// counted counts the runs of the task.
func (p *rerunPlay) counted(recorder *effects.Recorder) task.Middleware {
	return func(next task.RawHandler) task.RawHandler {
		return func(ctx context.Context, job task.Job[json.RawMessage]) error {
			if job.ExecID == p.door.own {
				recorder.BeginRun()
			}
			return next(ctx, job)
		}
	}
}

// await waits for the end of the task or of the process.
func (p *rerunPlay) await(l *rerunLife, id string) (o Outcome, late bool) {
	limit := time.NewTimer(pick(p.simulated, patience, patienceReal))
	defer limit.Stop()
	for {
		_, changed := l.sys.rec.since(0)
		if o = l.sys.Outcome(id); o.State == Succeeded || o.State == GivenUp || o.State == Cancelled {
			return o, false
		}
		select {
		case <-changed:
		case <-l.Dead():
			return o, false
		case <-limit.C:
			return o, true
		}
	}
}
