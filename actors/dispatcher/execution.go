package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

type phase uint8

const (
	queued  phase = iota // waits for a slot, its task's limit or its group
	running              // an attempt is under way
	waiting              // held in place
	ending               // settled, the poller has not answered yet
)

func (p phase) String() string { return [...]string{"queued", "running", "waiting", "ending"}[p] }

// execution is one delivery of one message, from the poller's Delivered to its
// Settled. Only the dispatcher touches it.
type execution struct {
	lease         poller.LeaseID
	messageID     string
	msg           task.Message
	groupID       string
	group         *group            // FIFO pools
	traceHeader   string            // AWSTraceHeader
	span          trace.SpanContext // of the sender; invalid if the message has none
	ran           *trace.Link       // to the span of the last attempt; nil without tracing
	sent          time.Time
	firstReceived time.Time
	ahead         time.Duration // of the queue's clock before ours
	received      time.Time
	asked         time.Duration // length of the lease that the receive asked for

	receives int32  // of this copy, this one and postponements included
	gen      uint32 // of timers: an older one\'s tick is ignored
	entry    *entry // nil for an unknown name
	ledger   ledger
	before   int               // attempts before this delivery, as far as is known
	runs     int               // attempts of this delivery that have ended
	mark     uint64            // suspect: settles that were under way when it came up
	forced   *outcome          // an operator's, takes the place of the attempt's
	reason   string            // why it was given up
	next     []poller.Outgoing // done: what follows it
	rest     time.Time         // end of the wait of a copy; zero: the message's own times say
	journal  *task.Journal     // of its steps, between attempts; nil without

	// What is small stands together: a task without steps takes no more memory for them.
	phase     phase
	fate      fate // what its settle is to make of it
	suspect   bool // to run isolated, and not seen to run yet
	oversized bool // the journal fits into no copy, and that was logged
	parked    bool // waited for its task's turn
	blames    bool // an attempt of it was refused or failed by a service
	claimed   bool // has its part of the task's concurrency, where that is the process's
	lost      bool // the lease
	returned  bool // given back, not ended: FIFO followers must not run before it

	since time.Time // of the phase
	until time.Time // waiting: end of the wait
	order uint64    // in the ready queue
	turn  uint64    // there, or among its task's parked: see turns
	timer *time.Timer

	child *actor.PID // of cur; nil between attempts
	cur   *attempt   // under way
}

func (e *execution) enter(p phase, now time.Time) { e.phase, e.since = p, now }

func (e *execution) disarm() {
	e.gen++
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// attempts is how often the task has run, as far as is known: each silent end
// may have been a run.
func (e *execution) attempts() int { return e.before + e.ledger.silent + e.runs }

// lastError is the last failure as the message has it, or nil.
func (e *execution) lastError() error {
	if e.msg.LastError == "" {
		return nil
	}
	return errors.New(e.msg.LastError)
}

// record writes the ledger onto the message, for a copy of it.
func (e *execution) record() { e.msg = e.recorded() }

// recorded is the message with the ledger on it.
func (e *execution) recorded() task.Message {
	m := e.msg
	m.Attempts = e.before + e.runs
	m.Failures, m.Silent, m.Counted = e.ledger.failures, e.ledger.silent, true
	if e.journal != nil {
		m.Steps = e.journal.Wire()
	}
	return m
}

// logContext is the ctx of records about e, which carries its job.
func (e *execution) logContext() context.Context {
	return task.WithInfo(context.Background(), &task.Info{
		Task: e.msg.Name, ExecID: e.msg.ExecID, MessageID: e.messageID, JobID: e.msg.JobID, JobName: e.msg.JobName,
		Attempt: e.attempts(), Failures: e.ledger.failures,
	})
}

// deadline is the end of an attempt that starts now; zero if it has none.
func (e *execution) deadline(now time.Time) time.Time {
	if d := e.entry.spec.Deadline; d > 0 {
		return now.Add(d)
	}
	return time.Time{}
}

// snapshot is the execution as others may see it.
func (e *execution) snapshot() Execution {
	s := Execution{
		Lease: e.lease, Task: e.msg.Name, ExecID: e.msg.ExecID, JobID: e.msg.JobID, JobName: e.msg.JobName,
		Phase: e.phase.String(), Failures: e.ledger.failures, Attempt: e.attempts(),
		Since: e.since, Until: e.until, Error: e.msg.LastError,
	}
	if e.cur != nil {
		if e.cur.props != nil {
			s.PID = e.child
		}
		s.Attempt = e.cur.info.Attempt
		s.Progress = e.cur.info.Progress()
		s.Until = e.cur.info.Deadline
	}
	s.Steps, s.StepCount = e.steps()
	return s
}
