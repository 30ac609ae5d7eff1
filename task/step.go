package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Why a step was refused, or its result was not kept; wrapped in a [*StepError].
var (
	ErrNoJob         = errors.New("its ctx belongs to no task: give it the ctx that the handler was called with")
	ErrNestedStep    = errors.New("a step does not run inside another")
	ErrStepsAtOnce   = errors.New("a lane runs one step at a time: give each goroutine a ctx of task.Lane")
	ErrAttemptOver   = errors.New("the attempt is over")
	ErrStepName      = errors.New("a step needs a name")
	ErrNotEncodable  = errors.New("the result is not kept by JSON")
	ErrJournalFull   = fmt.Errorf("the results of the steps have more than %d bytes: return where the data is", MaxJournal)
	ErrJournalBroken = errors.New("the journal that the message carries cannot be read")
)

// StepError says which step could not begin, or what became of its result.
type StepError struct {
	Task string // empty outside a task
	Lane string // empty for the main one
	Step string
	Err  error
}

func (e *StepError) Error() string {
	where := fmt.Sprintf("step %q", cut(e.Step))
	if e.Lane != "" {
		where += fmt.Sprintf(" of lane %q", cut(e.Lane))
	}
	if e.Task != "" {
		where += fmt.Sprintf(" of task %q", e.Task)
	}
	return where + ": " + e.Err.Error()
}

func (e *StepError) Unwrap() error { return e.Err }

// StepMismatchError says that a step is another one than at the same place of an
// earlier attempt. The code has changed under a running execution, or it does not take
// the same way each time.
type StepMismatchError struct {
	Task, Lane string
	Number     int    // in its lane, from 1
	Was, Is    string // names, with the kind where that is what differs
}

func (e *StepMismatchError) Error() string {
	lane := ""
	if e.Lane != "" {
		lane = fmt.Sprintf(" in lane %q", cut(e.Lane))
	}
	return fmt.Sprintf("task %q: step %d%s is %q now, and was %q in an earlier attempt of this execution. Steps keep "+
		"their names and their order while executions run: bring %q back, or send the new code's work as another task",
		e.Task, e.Number, lane, cut(e.Is), cut(e.Was), cut(e.Was))
}

// StepFailedError is the failure of a step in an earlier attempt, after which the
// handler went on. The step is not run again.
type StepFailedError struct {
	Step string
	Text string // of its error
}

func (e *StepFailedError) Error() string {
	return fmt.Sprintf("step %q failed in an earlier attempt, which went on: %s", cut(e.Step), e.Text)
}

// Step runs fn and keeps its result, so that no later attempt of the execution runs it
// again: each gets the result as JSON has kept it. The result lives in memory over
// retries in place, and travels on each copy of the message that the chassis sends. A
// process that is killed loses what came after the last copy.
//
// An error of fn is returned, and the next attempt runs fn again; fn runs again too if
// the same step follows in the same attempt. Another step after a failed one makes the
// failure part of the history: later attempts get a [*StepFailedError].
//
// Steps have the same names in the same order in each attempt. A ctx of [Lane] has an
// order of its own, for goroutines. See docs/steps.md.
func Step[R any](ctx context.Context, name string, fn func(ctx context.Context) (R, error)) (result R, err error) {
	var p Place
	if err := p.begin(ctx, name, kindStep); err != nil {
		return result, err
	}
	if p.known {
		return recalled[R](&p)
	}
	defer p.End()
	made, err := fn(&p)
	if err != nil {
		p.err = err
		return made, err
	}
	if bound, same := shapeOf(reflect.TypeFor[R]()).bound(&made); same {
		p.err = p.keep(entry{name: p.name, kind: kindStep, value: &made, bound: bound})
		return made, p.err
	}
	data, err := json.Marshal(made)
	if err == nil {
		err = json.Unmarshal(data, &result)
	}
	if err != nil {
		p.err = p.wrong(fmt.Errorf("%w: a %T: %w", ErrNotEncodable, made, err))
		return made, p.err
	}
	if p.err = p.Keep(data); p.err != nil {
		return made, p.err
	}
	return result, nil
}

// recalled returns the result that the journal holds.
func recalled[R any](p *Place) (result R, err error) {
	if p.failure != nil {
		return result, p.failure
	}
	if v, ok := p.value.(*R); ok {
		return *v, nil
	}
	p.encode()
	if err := json.Unmarshal(p.result, &result); err != nil {
		var zero R
		err = fmt.Errorf("its result of an earlier attempt, %s, does not fit %T: %w", cut(string(p.result)), zero, err)
		return zero, &StepError{p.info.Task, p.lane, p.name, err}
	}
	return result, nil
}

// Do is [Step] for work without a result.
func Do(ctx context.Context, name string, fn func(ctx context.Context) error) error {
	var p Place
	if err := p.begin(ctx, name, kindStep); err != nil {
		return err
	}
	if p.known {
		return p.failure
	}
	defer p.End()
	if p.err = fn(&p); p.err != nil {
		return p.err
	}
	p.err = p.Keep(noResult)
	return p.err
}

// noResult is what the journal holds of a step by [Do]. It must not be changed.
var noResult = json.RawMessage("null")

// Lane returns a ctx with an order of steps of its own. Goroutines of one handler run
// steps at the same time if each has a lane, under the same name in each attempt. A lane
// made from the ctx of a lane is part of it: its name is outer/inner.
func Lane(ctx context.Context, name string) context.Context {
	if where, ok := ctx.Value(placeKey{}).(*laneContext); ok {
		name = where.name + "/" + name
	}
	return &laneContext{Context: ctx, name: name}
}

type placeKey struct{}

// laneContext is the ctx of a lane.
type laneContext struct {
	context.Context
	name string
}

// Value implements [context.Context].
func (c *laneContext) Value(key any) any {
	if key == (placeKey{}) {
		if p, inside := c.Context.Value(key).(*Place); inside {
			return p
		}
		return c
	}
	return c.Context.Value(key)
}

// Place is the place of one step in its execution while it runs, and the ctx of its
// function. It is for packages that keep results elsewhere; others call [Step].
type Place struct {
	context.Context
	info    *Info
	journal *Journal
	lane    string
	name    string
	at      int // in the lane, from 0
	known   bool
	kind    string
	result  json.RawMessage
	value   any // in place of result
	until   time.Time
	over    bool // of a cursor: its loop has ended
	failure error
	err     error // why nothing is kept
	kept    bool
}

// Value implements [context.Context].
func (p *Place) Value(key any) any {
	if key == (placeKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// BeginStep begins the step name of ctx's execution. Its caller runs the step unless
// [Place.Result] has its result, calls [Place.Keep] or [Place.Note] when it is done,
// and [Place.End] in every case.
func BeginStep(ctx context.Context, name string) (*Place, error) {
	p := &Place{}
	if err := p.begin(ctx, name, kindStep); err != nil {
		return nil, err
	}
	if p.failure != nil {
		return nil, p.failure
	}
	return p, nil
}

// Name is the step's name.
func (p *Place) Name() string { return p.name }

// Lane is the name of its lane, empty for the main one.
func (p *Place) Lane() string { return p.lane }

// Number is the step's number in its lane, from 1.
func (p *Place) Number() int { return p.at + 1 }

// Info is the attempt that it belongs to.
func (p *Place) Info() *Info { return p.info }

// Result returns the step's result of an earlier attempt, as JSON, if the journal has it.
func (p *Place) Result() (result json.RawMessage, ok bool) {
	p.encode()
	return p.result, p.known && p.kind == kindStep
}

// encode makes JSON of the value that the place holds.
func (p *Place) encode() {
	if p.value != nil {
		p.result, p.value = marshalPlain(p.value), nil
	}
}

// Noted reports whether an earlier attempt has called [Place.Note] for this step.
func (p *Place) Noted() bool { return p.kind == kindNoted }

// Keep keeps the step's result, which is JSON.
func (p *Place) Keep(result json.RawMessage) error {
	return p.keep(entry{name: p.name, kind: kindStep, result: result})
}

// Note notes that the step is done and that its result is kept elsewhere.
func (p *Place) Note() error { return p.keep(entry{name: p.name, kind: kindNoted}) }

// Fail says why the step failed, for the attempts that follow if this one goes on.
func (p *Place) Fail(err error) { p.err = err }

// End ends the step: the next one of its lane may begin.
func (p *Place) End() {
	if p.known || p.kept {
		return
	}
	failed := &entry{name: p.name, kind: kindFailed, err: "it panicked, or ended its goroutine"}
	if p.err != nil {
		failed.err = ErrorText(p.err.Error())
	}
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	l := p.journal.lane(p.lane)
	l.busy = ""
	if p.at == len(l.done) {
		l.failed = failed
	}
}

// StepKey is a key for calls to others that take one to be idempotent by: the exec_id
// and the place of the step that ctx belongs to, the same in each attempt. Outside a
// step it is the exec_id, and outside a task it is empty.
func StepKey(ctx context.Context) string {
	info := JobFrom(ctx)
	if info == nil {
		return ""
	}
	p, inside := ctx.Value(placeKey{}).(*Place)
	if !inside {
		return info.ExecID
	}
	if p.lane == "" {
		return fmt.Sprintf("%s/%d/%s", info.ExecID, p.Number(), p.name)
	}
	return fmt.Sprintf("%s/%s/%d/%s", info.ExecID, p.lane, p.Number(), p.name)
}

// wrong is the error for a mistake in the code: no retry can change it.
func (p *Place) wrong(err error) error {
	task := ""
	if p.info != nil {
		task = p.info.Task
	}
	return Cancel(&StepError{task, p.lane, p.name, err})
}

// begin finds the step's place and what the journal holds of it.
func (p *Place) begin(ctx context.Context, name, kind string) error {
	p.Context, p.name, p.kind, p.info = ctx, name, kind, JobFrom(ctx)
	if p.info == nil {
		return &StepError{"", "", name, ErrNoJob}
	}
	switch where := ctx.Value(placeKey{}).(type) {
	case *laneContext:
		p.lane = where.name
		if problem := checkStepName(where.name); problem != "" {
			return p.wrong(fmt.Errorf("%w: its lane %s", ErrStepName, problem))
		}
	case *Place:
		p.lane = where.lane
		return p.wrong(fmt.Errorf("%w: it begins inside step %q. Return from that first", ErrNestedStep,
			cut(where.name)))
	}
	if problem := checkStepName(name); problem != "" {
		return p.wrong(fmt.Errorf("%w: it %s", ErrStepName, problem))
	}
	p.journal = p.info.steps()
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	if p.journal.read(); p.journal.broken != nil {
		return &StepError{p.info.Task, p.lane, name, fmt.Errorf("%w: %w. No step is run, for it may be done already",
			ErrJournalBroken, p.journal.broken)}
	}
	return p.enter(p.journal.lane(p.lane))
}

// enter takes the lane for the step, or recalls its result. The caller holds the lock.
func (p *Place) enter(l *lane) error {
	switch {
	case p.journal.ended:
		return &StepError{p.info.Task, p.lane, p.name, ErrAttemptOver}
	case l.busy != "":
		return p.wrong(fmt.Errorf("%w: step %q is under way", ErrStepsAtOnce, cut(l.busy)))
	case l.sleeping != nil:
		return l.sleeping
	}
	if p.at = l.next; p.at < len(l.done) {
		return p.recall(l)
	}
	if err := context.Cause(p.Context); err != nil {
		return &StepError{p.info.Task, p.lane, p.name, fmt.Errorf("it does not begin: %w", err)}
	}
	if l.failed != nil && l.failed.name != p.name {
		if err := p.journal.add(l, *l.failed); err != nil {
			return p.wrong(err)
		}
		l.failed = nil
		p.at = l.next
	}
	if p.kind == kindStep {
		l.busy = p.name
	}
	return nil
}

// recall takes over what the lane holds at the step's place.
func (p *Place) recall(l *lane) error {
	e := &l.done[p.at]
	is, was := p.kind, e.kind
	same := is == was || is == kindStep && was == kindNoted || was == kindFailed
	if e.name != p.name || !same {
		m := &StepMismatchError{Task: p.info.Task, Lane: p.lane, Number: p.at + 1, Was: e.name, Is: p.name}
		if e.name == p.name {
			m.Was, m.Is = e.name+" ("+kindName(was)+")", p.name+" ("+kindName(is)+")"
		}
		return m
	}
	switch e.kind {
	case kindFailed:
		p.failure = &StepFailedError{Step: e.name, Text: e.err}
	case kindNoted: // its place is known, and what it was is asked for elsewhere
		if err := context.Cause(p.Context); err != nil {
			return &StepError{p.info.Task, p.lane, p.name, fmt.Errorf("it does not begin: %w", err)}
		}
		p.kind = kindNoted
		l.busy = p.name
		return nil
	}
	p.known, p.result, p.value, p.until, p.over = true, e.result, e.value, e.until, e.over
	l.next++
	return nil
}

func kindName(kind string) string {
	if kind == kindStep {
		return "step"
	}
	return kind
}

// keep writes the step's entry, unless its attempt is over.
func (p *Place) keep(e entry) error {
	j := p.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return &StepError{p.info.Task, p.lane, p.name, fmt.Errorf("%w, so the result is lost", ErrAttemptOver)}
	}
	l := j.lane(p.lane)
	e.at = time.Now().UnixMilli()
	if p.at < len(l.done) { // noted before
		l.done[p.at].at = e.at
		l.next = p.at + 1
		l.busy, p.kept = "", true
		return nil
	}
	if err := j.add(l, e); err != nil {
		return p.wrong(err)
	}
	l.failed, l.busy, p.kept = nil, "", true
	return nil
}
