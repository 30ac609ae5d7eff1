package chassistest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest/effects"
	"github.com/sambatech/chassis/task"
)

// Twice fails the test if a handler is not safe to run twice. A queue delivers at
// least once: a process can die after the work and before the delete of its message,
// and then another one does the work again.
//
//	func TestCharge(t *testing.T) {
//		chassistest.Twice(t, func(r *chassistest.Rerun) {
//			bank := newBank() // outlives a death
//			r.Process(func(p *chassistest.RerunProcess) {
//				chassis.Handle(p.System, Charge, charge(p.Client(bank)))
//			})
//			chassistest.Message(r, Charge, ChargeArgs{Cents: 500})
//		})
//	}
//
// define makes a world: what outlives a process (a database, another service), what a
// process does at its start, and one message for each handler. It is called for each
// case, and its process function for each start, so that a dead process leaves no
// memory behind. For each message Twice runs these cases, in fresh worlds:
//
//   - one whole run, without a fault: the measure of all others
//   - the process dies after the handler's end, before the message is deleted
//   - it dies before, and after, each effect that changes something
//   - each effect is refused in the first run: a request by an error and by a 503
//   - each effect is slow
//
// After a death a second process gets the message, when the lease of the first one is
// over, and works until the task has ended. Then the effects and the state are compared with
// those of the whole run. An [Accusation] says what is accused:
//
//   - [Repeated]: an effect is made again. A request with GET, HEAD, PUT or DELETE may
//     be, to the same URL; any other with the same Idempotency-Key and the same body. A
//     task may be sent again with the same exec_id, or the same deduplication id on a
//     FIFO pool. An effect of [effects.Recorder.Do] may be made again with the same
//     key. What a key is must follow from the task: it is the same in each run.
//   - [Lost]: an effect of the whole run is never made. The second run takes the work
//     for done, or an error was swallowed.
//   - [Unfinished]: the task does not end well after the fault.
//   - [StateDiffers]: the state is not the one after the whole run; see [Rerun.State].
//   - [TooEarly]: a task is sent in a transaction that is rolled back afterwards.
//   - [NotAwaited]: the handler returns before an effect of it is over.
//
// Statements are judged by the state. Without [Rerun.State] they are judged by their
// text and their arguments: an UPDATE to values from its arguments, a DELETE, and an
// INSERT with a clause for conflicts may be made again. Others are accused if both
// runs changed rows.
//
// Each case runs in a bubble of testing/synctest, so waits take no time; call Twice
// outside of one. [RealTime] is for what does not work in a bubble: connections over a
// network that a goroutine waits for all the time.
//
// Effects are seen if they are made through the recorders of the [RerunProcess].
// Tasks that are sent by the process's system are always seen. They are not run.
func Twice(t *testing.T, define func(r *Rerun), opts ...TwiceOption) {
	t.Helper()
	found, err := Explore(t, define, opts...)
	if err != nil {
		t.Fatalf("chassistest: Twice: %v", err)
	}
	for _, f := range found {
		t.Errorf("chassistest: Twice: %v", f)
	}
}

// Explore is [Twice] for a test that judges the findings itself. The error says why a
// handler could not be tried.
func Explore(t *testing.T, define func(r *Rerun), opts ...TwiceOption) ([]Accusation, error) {
	t.Helper()
	var o twiceOptions
	for _, opt := range opts {
		opt(&o)
	}
	if simulated() {
		return nil, errors.New("it was called in a bubble of testing/synctest: call it outside; " +
			"it makes a bubble for each case, or none with RealTime")
	}
	x := &explorer{t: t, define: define, options: o}
	return x.explore()
}

// TwiceOption changes how [Twice] works.
type TwiceOption func(*twiceOptions)

type twiceOptions struct {
	real bool
}

// RealTime runs the cases in real time, outside of a bubble. The lease of a dead
// process is ended at once; the waits of a task are what they are.
func RealTime() TwiceOption { return func(o *twiceOptions) { o.real = true } }

// Rerun is the world of one case of [Twice].
type Rerun struct {
	t        testing.TB
	start    func(*RerunProcess)
	state    func() any
	messages []rerunMessage
	allowed  []func(Accusation) bool
	settings []func(*chassis.Settings)
}

type rerunMessage struct {
	name string
	send func(ctx context.Context, s *chassis.System, opts ...task.Option) (string, error)
}

// RerunProcess is one process of a [Rerun]: its system, on which it registers its
// handlers, and the recorders of its effects.
type RerunProcess struct {
	*chassis.System
	*effects.Recorder
}

// TB is the test of this case. Its Cleanup is called at the end of the case.
func (r *Rerun) TB() testing.TB { return r.t }

// Process says what a process does at its start: it makes clients and registers
// handlers. What it makes is the memory of that process.
func (r *Rerun) Process(start func(p *RerunProcess)) { r.start = start }

// State says what is stored outside of the processes: rows, balances, objects. It is
// called at the end of a case. The result must be the same after any number of runs;
// leave out what may differ, as times of changes. It is compared as JSON.
func (r *Rerun) State(state func() any) { r.state = state }

// Allow accepts findings for which f returns true. Say why in a comment.
func (r *Rerun) Allow(f func(Accusation) bool) { r.allowed = append(r.allowed, f) }

// Settings changes the settings of the processes.
func (r *Rerun) Settings(change func(*chassis.Settings)) { r.settings = append(r.settings, change) }

// Message gives a message for the handler of def. Give several for a handler with
// several ways. The handler must end well with it in the first run.
func Message[A any](r *Rerun, def *task.Definition[A], args A, opts ...task.Option) {
	r.messages = append(r.messages, rerunMessage{def.Name(),
		func(ctx context.Context, s *chassis.System, more ...task.Option) (string, error) {
			return chassis.Send(ctx, s, def, args, append(more, opts...)...)
		}})
}

// NamedMessage is [Message] for a task actor, which has a name and no definition.
func (r *Rerun) NamedMessage(name string, args any, opts ...task.Option) {
	r.messages = append(r.messages, rerunMessage{name,
		func(ctx context.Context, s *chassis.System, more ...task.Option) (string, error) {
			return s.Send(ctx, name, args, append(more, opts...)...)
		}})
}

// explorer runs the cases of one Twice.
type explorer struct {
	t       *testing.T
	define  func(*Rerun)
	options twiceOptions
}

// explore runs all cases of all messages.
func (x *explorer) explore() ([]Accusation, error) {
	var found []Accusation
	count := 1
	for n := 0; n < count; n++ {
		whole, err := x.run(rerunCase{message: n, fault: noFault})
		if err != nil {
			return found, err
		}
		count = whole.messages
		if err := whole.sound(); err != nil {
			return found, err
		}
		accused := judgeRerun(whole, whole)
		for _, c := range casesOf(n, whole.effects) {
			result, err := x.run(c)
			if err != nil {
				return found, err
			}
			accused = append(accused, judgeRerun(whole, result)...)
		}
		found = append(found, distinct(whole.allow(accused))...)
	}
	return found, nil
}

// sound reports why a whole run cannot be the measure of the others.
func (r *rerunResult) sound() error {
	if len(r.unmatched) > 0 {
		return fmt.Errorf("there is no message for the handler of %s: give one with chassistest.Message, "+
			"and it is run twice", strings.Join(r.unmatched, ", "))
	}
	if r.outcome.State != Succeeded || len(r.outcome.Errors) > 0 {
		return fmt.Errorf("task %q does not end well in its first run, without any fault: it is %s, and its "+
			"errors are %q; give a message and a world with which it does", r.task, r.outcome.State, r.outcome.Errors)
	}
	return nil
}

// casesOf are the cases with a fault of a message: one at each effect of its whole
// run.
func casesOf(message int, whole []*effects.Effect) []rerunCase {
	cases := []rerunCase{{message: message, fault: dieAtEnd}}
	seen := 0
	for _, e := range whole {
		if e.Point == seen { // of one request with the effect before it
			continue
		}
		seen = e.Point
		faults := []rerunFault{refuseEffect}
		if e.Kind == effects.HTTP {
			faults = append(faults, unavailable)
		}
		if !e.ReadOnly {
			faults = append(faults, dieBefore, dieAfter, slow)
		}
		for _, f := range faults {
			cases = append(cases, rerunCase{message: message, fault: f, point: e.Point, at: e.Name})
		}
	}
	return cases
}

// run runs one case in a world of its own.
func (x *explorer) run(c rerunCase) (result *rerunResult, err error) {
	one := func(t *testing.T) {
		r := &Rerun{t: t}
		x.define(r)
		result, err = r.run(c, !x.options.real)
	}
	if x.options.real {
		x.t.Run(c.String(), one)
	} else {
		synctest.Test(x.t, one)
	}
	if result == nil && err == nil {
		err = fmt.Errorf("case %q ended without a result: its test has failed", c)
	}
	return result, err
}

// snapshot is the state as JSON, in lines.
func (r *Rerun) snapshot() (string, error) {
	if r.state == nil {
		return "", nil
	}
	text, err := json.MarshalIndent(r.state(), "", "  ")
	if err != nil {
		return "", fmt.Errorf("the result of State has no JSON: %w", err)
	}
	return string(text), nil
}

// unmatched are the registered tasks without a message.
func (r *Rerun) unmatched(s *chassis.System) []string {
	var missing []string
	for _, name := range s.Tasks().Names() {
		if !slices.ContainsFunc(r.messages, func(m rerunMessage) bool { return m.name == name }) {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	return missing
}

// The times of a case, simulated and real.
const (
	slowness     = 2 * time.Second        // of a slow effect
	slownessReal = 300 * time.Millisecond // outside of a bubble
	rest         = time.Minute            // for what goes on after the end of a whole run
	restReal     = 300 * time.Millisecond
	patience     = 48 * time.Hour // for the end of a task
	patienceReal = time.Minute
)
