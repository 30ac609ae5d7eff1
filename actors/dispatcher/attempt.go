package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/actors/internal/inline"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

// The states of an attempt. Its handler or the dispatcher moves it out of underWay,
// and thereby decides the outcome.
const (
	underWay  int32 = iota
	answering       // its handler writes the answer
	answered
	abandoned
)

// attempt is one run of a handler. The dispatcher makes it. The side that moves it
// out of underWay writes out and took; a handler does so before it moves it on to
// answered.
type attempt struct {
	unlogged
	exec    *execution
	info    task.Info
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stop    context.CancelFunc // of the deadline, if there is one
	execute Execute
	handler task.RawHandler
	labels  context.Context // of pprof; nil: none
	started time.Time

	out  outcome
	took time.Duration

	dispatcher *actor.PID
	root       *actor.RootContext // the dispatcher's own
	monitor    *Monitor
	meter      *meter
	watch      *time.Timer // the dispatcher's: deadline, then abandonment
	stint      stint       // the dispatcher's
	state      atomic.Int32
	inGrace    bool   // the dispatcher's: its ctx is over, it gets time to end
	abandoned  bool   // the dispatcher's: it did not
	stall      stall  // the dispatcher's: what is known of its moving
	passes     []pass // the dispatcher's: services that did not admit all calls when it began

	child  *actor.PID // its actor
	runner *runner    // the actor of a function; nil of a task actor

	// Of task actors:
	props     *taskProps
	openBy    Open
	parent    *life.Parent
	reply     *actor.PID // where their answer goes
	spawned   atomic.Int32
	within    atomic.Bool   // being made, or in a Receive
	moves     atomic.Uint32 // messages received
	ends      bool          // the actor's own: it is stopping
	departure departure     // the dispatcher's: it was asked to stop
}

// abandon gives up on an attempt that is under way, and reports whether it was: it
// may have answered. It counts as abandoned for as long as it runs.
func (a *attempt) abandon() bool {
	if !a.state.CompareAndSwap(underWay, abandoned) {
		return false
	}
	a.monitor.abandoned.Add(1)
	if a.props != nil && !a.within.Load() { // an actor that went on to other things
		a.noteReturn()
	}
	return true
}

// noteReturn notes that an attempt runs no more, if it was abandoned.
func (a *attempt) noteReturn() {
	if a.state.CompareAndSwap(abandoned, answered) {
		a.monitor.abandoned.Add(-1)
		a.root.Send(a.dispatcher, &returned{})
	}
}

// run is the goroutine of a function task. Its name and receiver are looked for
// in a stack dump when it hangs; see stackOf.
//
//go:noinline
func (a *attempt) run(child *actor.PID) {
	err := a.execute.check()
	if a.labels != nil {
		pprof.SetGoroutineLabels(a.labels)
	}
	defer func() {
		if a.labels != nil { // the goroutine runs other tasks after this one
			pprof.SetGoroutineLabels(context.Background())
		}
		if v := recover(); v != nil { // outside of task.Recovery: of a log handler, for example
			err = &task.PanicError{Value: v, Stack: debug.Stack()}
		}
		a.finish(err, child)
	}()
	if err != nil {
		return
	}
	err = task.ErrGoexit // unless the handler returns
	err = a.handler(a.ctx, task.Job[json.RawMessage]{Args: a.execute.Args, Info: &a.info})
}

// finish reports the answer once: a failure to the child, which fails by it, and
// everything else to the dispatcher.
func (a *attempt) finish(err error, child *actor.PID) {
	out, took := read(err, classify), time.Since(a.started)
	if !a.state.CompareAndSwap(underWay, answering) {
		a.noteReturn()
		return
	}
	a.out, a.took = out, took
	a.packSteps(out)
	a.state.Store(answered)
	if child != nil && out.kind == outFailed {
		a.root.Send(child, a)
		return
	}
	a.root.Send(a.dispatcher, a)
}

// returned says that an abandoned handler has ended after all.
type returned struct{ unlogged }

// runner is the actor of a function task: the unit of supervision. The handler
// runs in a goroutine of its own, so that one that hangs or ends by Goexit
// leaves the actor able to stop.
type runner struct {
	crew  scheduler
	ended atomic.Bool // something has stopped it
}

func (r *runner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Execute:
		r.crew.Run(job{a: m.run, child: ctx.Self()})
	case *actor.Stopping:
		r.ended.Store(true)
	case *attempt:
		ctx.(actor.Supervisor).EscalateFailure(m.out.err, m)
	}
}

// runnerProps makes the actors of function tasks. The one that was made last is left in made.
func runnerProps(c scheduler, made **runner) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		*made = &runner{crew: c}
		return *made
	}, actor.WithMailbox(inline.New))
}

// answerTo is the process behind the sender of an Execute to a task actor. So
// the actor that got the request, or one that it forwarded it to, may answer it.
type answerTo struct{ a *attempt }

func (p answerTo) SendUserMessage(_ *actor.PID, message any) {
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case Done, *Done:
		p.a.finish(nil, nil)
	case Failed:
		p.a.finish(failure(m.Err), nil)
	case *Failed:
		p.a.finish(failure(m.Err), nil)
	case error:
		p.a.finish(m, nil)
	default:
		p.a.finish(fmt.Errorf("the task actor answered with a %T: answer with dispatcher.Done{} or an error", m), nil)
	}
}

func failure(err error) error {
	if err == nil {
		return errors.New("the task actor answered Failed without an error")
	}
	return err
}

func (answerTo) SendSystemMessage(*actor.PID, any) {}
func (answerTo) Stop(*actor.PID)                   {}

// newAttempt makes the next attempt of e, with its ctx.
func newAttempt(e *execution, c *core, self *actor.PID, root *actor.RootContext, now time.Time) *attempt {
	a := &attempt{
		exec: e, started: now, dispatcher: self, root: root, monitor: c.monitor,
		handler: e.entry.chain, meter: e.entry.meter,
		info: task.Info{
			Task: e.msg.Name, ExecID: e.msg.ExecID, MessageID: e.messageID, JobID: e.msg.JobID, JobName: e.msg.JobName,
			Attempt: e.attempts() + 1, Failures: e.ledger.failures, MaxFailures: e.entry.spec.MaxFailures,
			When: e.msg.When, Received: e.handedOut(), Deadline: e.deadline(now), LastError: e.msg.LastError,
			Unique: e.msg.Unique, Tenant: c.tenant(e), Extra: cloneExtra(e.msg.Extra),
		},
	}
	e.resume(a)
	base := c.base
	if e.entry.labelled != nil {
		base = e.entry.labelled
		a.labels = base
	}
	base = task.WithInfo(base, &a.info)
	if e.span.IsValid() {
		base = trace.ContextWithRemoteSpanContext(base, e.span)
	}
	if c.tracer != nil {
		base = c.startSpan(base, e, &a.info, now)
	}
	a.ctx, a.cancel = context.WithCancelCause(base)
	if !a.info.Deadline.IsZero() {
		a.ctx, a.stop = context.WithDeadlineCause(a.ctx, a.info.Deadline, ErrDeadline)
	}
	a.execute = Execute{Ctx: a.ctx, Info: &a.info, Args: []byte(e.msg.Body), run: a}
	return a
}

// cloneExtra returns a copy for one attempt: a handler that changes its own
// changes no copy of the message that is sent on.
func cloneExtra(extra map[string]types.MessageAttributeValue) map[string]types.MessageAttributeValue {
	own := maps.Clone(extra)
	for name, v := range own {
		if v.StringValue != nil {
			text := *v.StringValue
			v.StringValue = &text
		}
		v.BinaryValue = slices.Clone(v.BinaryValue)
		own[name] = v
	}
	return own
}
