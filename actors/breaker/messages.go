package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/internal/clip"
)

// Messages that any actor may send to [Breaker.PID], as pointers or values; they
// are not changed once sent. Each that has a reply answers the sender of a
// request with it, once, by a pointer; any other message is answered with
// [*actors.Unhandled]. A Tag comes back in the reply, so that an actor that has
// several questions under way knows which one it answers.
type (
	// Call runs Fn, or Get, as [Breaker.Do] does, on a goroutine of its own. The
	// reply is [*CallResult]. A panic is a failure, and comes back as [*PanicError].
	Call struct {
		Path string
		Fn   func(ctx context.Context) error
		Get  func(ctx context.Context) (any, error) // in place of Fn: its value is in the reply
		// Ctx carries what belongs to the call, like the job and the trace, and
		// cancels it; nil for none. The function's ctx ends with it, with the
		// breaker, and after request_timeout or what takes its place: see [Breaker.Patience].
		Ctx context.Context
		Tag any
	}
	// Admit asks for the admission of a call that the sender makes itself. The
	// reply is [*Admitted]. It does not wait for the limit of [WithLimit].
	Admit struct {
		Path string
		Tag  any
	}
	// Report settles an admitted call; there is no reply. The permit is the
	// breaker's from then on; one that is settled already settles nothing.
	Report struct {
		Permit  *Permit
		Verdict Verdict
		Err     error // may say how long the service wants to be left alone: see [After]
	}
	// Force lays ForcedOpen, ForcedClosed or MetricsOnly over Path and below,
	// for a time or (0) until Reset. The reply is [*Done].
	Force struct {
		Path string
		To   State
		For  time.Duration
		Tag  any
	}
	// Reset is [Breaker.Reset]. The reply is [*Done].
	Reset struct {
		Path string
		Tag  any
	}
	// Change is [Breaker.SetSettings]. The reply is [*Done].
	Change struct {
		Settings Settings
		Tag      any
	}
	// GetSnapshot is answered with [*Snapshot].
	GetSnapshot struct{}
	// GetTransitions is answered with [*Transitions].
	GetTransitions struct {
		Since uint64
		Tag   any
	}
	// Subscribe sends every transition from now on to To as a [*Transition],
	// until Unsubscribe or the end of To. The reply is [*Done].
	Subscribe struct {
		To  *actor.PID
		Tag any
	}
	// Unsubscribe ends a Subscribe. The reply is [*Done].
	Unsubscribe struct {
		To  *actor.PID
		Tag any
	}
)

// Replies. What they hold is the receiver's own.
type (
	// CallResult answers [Call] with what its function returned, or a refusal.
	CallResult struct {
		Path  string
		Tag   any
		Value any // of Get
		Err   error
	}
	// Admitted answers [Admit]: a permit to be settled by [Report] or its own
	// methods, or an [*OpenError] or a [*LimitError].
	Admitted struct {
		Path   string
		Tag    any
		Permit *Permit // nil with an error
		Err    error
	}
	// Done answers a command.
	Done struct {
		Tag any
		Err error
	}
	// Transitions answers [GetTransitions].
	Transitions struct {
		Tag any
		Log []Transition
	}
)

// byPointer returns a message that was sent as a value by its pointer.
func byPointer(message any) any {
	switch m := message.(type) {
	case Call:
		return &m
	case Admit:
		return &m
	case Report:
		return &m
	case Force:
		return &m
	case Reset:
		return &m
	case Change:
		return &m
	case GetSnapshot:
		return &m
	case GetTransitions:
		return &m
	case Subscribe:
		return &m
	case Unsubscribe:
		return &m
	}
	return message
}

// PanicError is a panic of a [Call]'s function.
type PanicError struct {
	Value any
	Stack []byte // of the panicking goroutine
}

// Error returns the panic's value as text.
func (e *PanicError) Error() string { return "panic in a breaker.Call: " + clip.Panic(e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func (s *state) onMessage(c actor.Context, message any) {
	reply := func(m any) {
		if c.Sender() != nil {
			c.Respond(m)
		}
	}
	if actors.Nil(message) {
		s.refuse(c)
		return
	}
	switch m := byPointer(message).(type) {
	case *Call:
		s.onCall(c.Sender(), m)
	case *Admit:
		reply(s.onAdmit(m))
	case *Report:
		s.onReport(m)
	case *Force:
		reply(&Done{m.Tag, s.force(m.Path, m.To, m.For)})
	case *Reset:
		reply(&Done{m.Tag, s.reset(m.Path)})
	case *Change:
		reply(&Done{m.Tag, s.change(m.Settings)})
	case *GetSnapshot:
		snapshot := s.b.Snapshot()
		reply(&snapshot)
	case *GetTransitions:
		reply(&Transitions{m.Tag, s.b.since(s.b.own.log, m.Since)})
	case *Subscribe:
		s.watch(c, m.To)
		reply(&Done{Tag: m.Tag})
	case *Unsubscribe:
		s.unwatch(c, m.To)
		reply(&Done{Tag: m.Tag})
	case *actor.Terminated:
		if m.Who != nil && m.Who.Equal(s.prober) {
			s.prober = nil
		}
		s.unwatch(c, m.Who)
	default:
		s.refuse(c)
	}
}

// refuse answers a message that a breaker does not take.
func (s *state) refuse(c actor.Context) {
	if actors.Refuse(c, "takes the messages of package breaker") && s.b.logger != nil {
		s.b.logger.Warn("a circuit breaker got a message that it does not know: want one of package breaker",
			slog.String("service", s.b.service), slog.String("type", fmt.Sprintf("%T", c.Message())))
	}
}

// unshared returns an error that the receiver of a message may change: a refusal
// is one value for all calls that meet it.
func unshared(err error) error {
	if open, ok := err.(*OpenError); ok {
		own := *open
		return &own
	}
	return err
}

func (s *state) onAdmit(m *Admit) *Admitted {
	b := s.b
	e := s.begin()
	slot, d := e.admit(m.Path, term{})
	if d.refusal == nil && d.ramp != nil && e.rnd >= d.ramp.share(e.now) {
		d.refusal = d.ramp.refusal
	}
	if d.refusal != nil {
		e.free()
		return &Admitted{Path: m.Path, Tag: m.Tag, Err: unshared(d.refusal)}
	}
	p := Permit{b: b, path: m.Path, gen: e.gen, slot: slot, forced: d.forced}
	if b.limit != nil && !d.forced {
		var err error
		if _, p.sampled, err = b.limit.enter(context.Background(), false); err != nil {
			e.free()
			return &Admitted{Path: m.Path, Tag: m.Tag, Err: b.limited(0)}
		}
		p.placed = true
	}
	if e.set.SlowCall > 0 || slot != 0 || p.sampled {
		p.begun = max(1, e.now)
	}
	if e.set.HangLimit > 0 && slot == 0 && !d.forced {
		p.watch = b.watchHang(p)
	}
	if slot == 0 {
		e.free()
	} else {
		s.commit(e)
	}
	return &Admitted{Path: m.Path, Tag: m.Tag, Permit: &p}
}

func (s *state) onReport(m *Report) {
	p := m.Permit
	if p == nil || p.b != s.b {
		if s.b.logger != nil {
			s.b.logger.Warn("a circuit breaker got the report of a permit that is settled, or another breaker's",
				slog.String("service", s.b.service))
		}
		return
	}
	if r, ok := p.result(m.Verdict); ok {
		if m.Verdict == Failure {
			r.hold = holdOf(m.Err)
		}
		e := s.begin()
		e.report(r)
		s.commit(e)
	}
}

func (s *state) onCall(sender *actor.PID, m *Call) {
	b := s.b
	result := &CallResult{Path: m.Path, Tag: m.Tag}
	reply := func(err error) {
		if result.Err = unshared(err); sender != nil {
			actor.NewRootContext(b.system, nil).Send(sender, result)
		}
	}
	if (m.Fn == nil) == (m.Get == nil) {
		reply(fmt.Errorf("breaker of %s: a Call to %q needs one of Fn and Get", b.service, m.Path))
		return
	}
	if b.own.more().calls == nil {
		b.own.more().calls, b.own.more().cancel = context.WithCancel(context.Background())
	}
	life := b.own.more().calls
	b.own.ending.Add(1)
	go func() {
		defer b.own.ending.Done()
		err := fmt.Errorf("breaker of %s: the function of a Call to %q ended its goroutine", b.service, m.Path)
		defer func() {
			if r := recover(); r != nil {
				err = &PanicError{r, debug.Stack()}
			}
			reply(err)
		}()
		parent := m.Ctx
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithCancel(parent)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		if d := b.patience(parent, m.Path, b.view.Load().set).limit; d > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeoutCause(ctx, d, ErrTimeout)
			defer stop()
		}
		err = b.Do(ctx, m.Path, func(ctx context.Context) (err error) {
			if m.Fn != nil {
				return m.Fn(ctx)
			}
			result.Value, err = m.Get(ctx)
			return err
		})
	}()
}
