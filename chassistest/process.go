package chassistest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// Process is one life of one process of a [World]: a system that is started, and
// that stops or dies. The process that is started in its place is another one.
type Process struct {
	*chassis.System

	world  *World
	number int // 1 to the size of the fleet
	life   int // from 1
	queue  http.RoundTripper

	dead     bool // under gate.mu
	ctx      context.Context
	end      context.CancelFunc
	settings chassis.Settings

	// The world's:
	started, stopping, stopped bool
	report                     chan func() // what its start and its stop came to
	runs                       map[*run]bool
	held                       map[*delivery]bool
	refused                    map[string]bool // requests that have failed, and not worked since
	troubled                   bool            // a request of it was struck
	born                       time.Duration
	data                       databases
}

// Number is the place of the process in the fleet, from 1. Its other lives have it too.
func (p *Process) Number() int { return p.number }

// Life counts the lives of the process, from 1.
func (p *Process) Life() int { return p.life }

// run is one call of a handler.
type run struct {
	p        *Process
	info     *task.Info
	fate     *fate
	delivery *delivery
	ctx      context.Context
	cancel   context.CancelCauseFunc
	began    time.Time
	over     bool
	cut      bool         // its ctx had ended before it did
	cutAt    atomic.Int64 // when its ctx ended, since the beginning; 0: it stands
	err      error
	outcome  outcome
	steps    map[string]bool // that are done, at its end
	journal  int             // what they take, in bytes

	goroutine string // the handler's; empty for a task actor
}

// outcome is how a run ended.
type outcome uint8

const (
	underWay outcome = iota
	succeeded
	failed
	gaveWay // snoozed, cancelled, refused by a breaker
)

type runKey struct{}

// runOf is the run that ctx belongs to, or nil.
func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// newProcess makes a life of process number n. Its services are registered; nothing is
// started yet.
func (w *World) newProcess(n, life int) (*Process, error) {
	p := &Process{world: w, number: n, life: life, queue: w.queue.HTTPClient().Transport, runs: map[*run]bool{},
		held: map[*delivery]bool{}, refused: map[string]bool{}, report: make(chan func(), 2)}
	p.ctx, p.end = context.WithCancel(context.Background())
	client, err := sqsclient.New(p.ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(p),
		sqsclient.WithRandom(w.random(n)))
	if err != nil {
		return nil, err
	}
	p.settings = w.settings()
	p.System, err = chassis.New("storm", append([]chassis.Option{
		chassis.WithSettings(p.settings), chassis.WithSQS(client), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(&w.log), chassis.WithMiddleware(p.around),
		chassis.WithRandom(rand.NewPCG(w.schedule.Seed, uint64(n)<<32|uint64(life))),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(throttle)),
	}, w.storm.chassis...)...)
	if err != nil {
		return nil, err
	}
	for _, service := range w.services {
		service(p)
	}
	p.data.open = true
	return p, nil
}

// Do is the process's way to the queue.
func (p *Process) Do(r *http.Request) (*http.Response, error) {
	if tamper := p.world.storm.tamper; tamper != nil {
		tamper(p, r)
	}
	q, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	g, step := p.world.gate, stepOf(q.op)
	switch o, err := g.wait(r.Context(), &arrival{p: p, step: step, name: q.name(), req: q}); {
	case err != nil:
		return nil, err
	case o == dead:
		return nil, errGone
	}
	if q.refusal != nil {
		return q.refusal.response(r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	if strings.HasSuffix(q.queue, ticksSuffix) { // ticks go by the queue's clock
		q.skew = 0
	}
	if q.skew != 0 && step == OnSend {
		q.body = q.skewed(q.body, q.skew)
	}
	q.answer = p.perform(ctx, r, q)
	q.at = p.world.Now()
	if len(q.split) > 0 && q.answer.err == nil {
		q.answer.failed(q.split)
	}
	q.read()
	if q.skew != 0 && step == OnReceive {
		q.answer.body = q.skewed(q.answer.body, -q.skew)
	}
	a := &arrival{p: p, step: step, name: q.name(), req: q, answer: true}
	switch o, err := g.wait(r.Context(), a); {
	case err != nil:
		g.miss(a)
		return nil, err
	case o == dead:
		g.miss(a)
		return nil, errGone
	}
	return q.answer.response(r)
}

// perform makes the request of the queue.
func (p *Process) perform(ctx context.Context, r *http.Request, q *request) *reply {
	r2 := r.WithContext(ctx)
	r2.Body, r2.ContentLength = io.NopCloser(bytes.NewReader(q.body)), int64(len(q.body))
	res, err := p.queue.RoundTrip(r2)
	if err != nil {
		return &reply{err: err}
	}
	body, err := readAll(res.Body, res.ContentLength)
	_ = res.Body.Close() // it is in memory
	return &reply{status: res.StatusCode, header: res.Header, body: body, err: err}
}

// around is the outermost middleware of all handlers of the process.
func (p *Process) around(next task.RawHandler) task.RawHandler {
	return func(ctx context.Context, job task.Job[json.RawMessage]) (err error) {
		r := &run{p: p, info: job.Info, goroutine: goroutine()}
		r.ctx, r.cancel = context.WithCancelCause(context.WithValue(ctx, runKey{}, r))
		defer r.cancel(nil)
		switch o, err := p.world.gate.wait(ctx, &arrival{p: p, step: OnStart, run: r}); {
		case err != nil:
			return err
		case o == dead:
			return errGone
		}
		returned := false
		defer func() {
			v := recover()
			switch {
			case v != nil:
				r.err = &task.PanicError{Value: v}
			case returned:
				r.err = err
			default:
				r.err = task.ErrGoexit
			}
			r.cut = ctx.Err() != nil
			if j := r.info.Journal(); j != nil {
				wire := j.Wire()
				r.steps, r.journal = stepsOf(wire), len(wire)
			}
			// Its ctx may have ended long before: it waits for the world alone.
			if o, _ := p.world.gate.wait(context.WithoutCancel(ctx), &arrival{p: p, step: OnEnd, run: r}); o == dead {
				err = errGone
				return
			}
			if v != nil {
				panic(v)
			}
		}()
		err = next(r.ctx, job)
		returned = true
		return err
	}
}

// judge says what the error of a run is.
func judge(err error) (o outcome) {
	defer func() {
		if recover() != nil { // a method of the error panics
			o = failed
		}
	}()
	var (
		snooze *task.SnoozeError
		cancel *task.CancelError
		args   *task.ArgsError
		open   task.OpenBreaker
	)
	switch {
	case err == nil:
		return succeeded
	case errors.As(err, &snooze), errors.As(err, &cancel), errors.As(err, &args):
		return gaveWay
	case errors.As(err, &open) && open.BreakerOpen():
		return gaveWay
	}
	return failed
}

// leave ends the goroutine of a handler of a process that has died. Another goroutine, which the
// handler may wait for, gets an error.
func (r *run) leave() error {
	if r.goroutine == "" || r.goroutine == goroutine() {
		runtime.Goexit()
	}
	return errGone
}
