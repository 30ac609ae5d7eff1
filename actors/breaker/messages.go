package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Messages that any actor may send to [Breaker.PID]. All are pointers and are
// not changed once sent. Each that has a reply answers the sender of a request
// with it, once.
type (
	// Call runs Fn as [Breaker.Do] does, on a goroutine of its own, with a ctx
	// that ends after request_timeout or with the breaker. The reply is
	// [*CallResult]. A panic of Fn is a failure, and comes back as [*PanicError].
	Call struct {
		Path string
		Fn   func(ctx context.Context) error
	}
	// Admit asks for the admission of a call that the sender makes itself. The
	// reply is [*Admitted].
	Admit struct{ Path string }
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
	}
	// Reset is [Breaker.Reset]. The reply is [*Done].
	Reset struct{ Path string }
	// Change is [Breaker.SetSettings]. The reply is [*Done].
	Change struct{ Settings Settings }
	// GetSnapshot is answered with [*Snapshot].
	GetSnapshot struct{}
	// GetTransitions is answered with [*Transitions].
	GetTransitions struct{ Since uint64 }
	// Subscribe sends every transition from now on to To as a [*Transition],
	// until Unsubscribe or the end of To. The reply is [*Done].
	Subscribe struct{ To *actor.PID }
	// Unsubscribe ends a Subscribe. The reply is [*Done].
	Unsubscribe struct{ To *actor.PID }
)

// Replies.
type (
	// CallResult answers [Call] with Fn's error, or a refusal.
	CallResult struct{ Err error }
	// Admitted answers [Admit]: a permit to be settled by [Report] or its own
	// methods, or an [*OpenError].
	Admitted struct {
		Permit *Permit // nil with an error
		Err    error
	}
	// Done answers a command.
	Done struct{ Err error }
	// Transitions answers [GetTransitions].
	Transitions struct{ Log []Transition }
)

// PanicError is a panic of a [Call]'s function.
type PanicError struct {
	Value any
	Stack []byte // of the panicking goroutine
}

// Error returns the panic's value as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic in a breaker.Call: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func (s *state) onMessage(c actor.Context, message any) {
	b := s.b
	reply := func(m any) {
		if c.Sender() != nil {
			c.Respond(m)
		}
	}
	switch m := message.(type) {
	case *Call:
		s.onCall(c.Sender(), m)
	case *Admit:
		reply(s.onAdmit(m))
	case *Report:
		s.onReport(m)
	case *Force:
		reply(&Done{s.force(m.Path, m.To, m.For)})
	case *Reset:
		reply(&Done{s.reset(m.Path)})
	case *Change:
		reply(&Done{s.change(m.Settings)})
	case *GetSnapshot:
		snapshot := b.Snapshot()
		reply(&snapshot)
	case *GetTransitions:
		reply(&Transitions{b.since(b.own.log, m.Since)})
	case *Subscribe:
		s.watch(c, m.To)
		reply(&Done{})
	case *Unsubscribe:
		s.unwatch(c, m.To)
		reply(&Done{})
	case *actor.Terminated:
		if m.Who.Equal(s.prober) {
			s.prober = nil
		}
		s.unwatch(c, m.Who)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		if b.logger != nil {
			b.logger.Warn("a circuit breaker got a message that it does not know: want a pointer to one of the package's messages",
				slog.String("service", b.service), slog.String("type", fmt.Sprintf("%T", message)))
		}
	}
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
		return &Admitted{Err: d.refusal}
	}
	p := Permit{b: b, path: m.Path, gen: e.gen, slot: slot, forced: d.forced}
	if e.set.SlowCall > 0 || slot != 0 {
		p.begun = max(1, e.now)
	}
	if e.set.HangLimit > 0 && slot == 0 && !d.forced {
		p.flight = b.takeOff(p)
	}
	if slot == 0 {
		e.free()
	} else {
		s.commit(e)
	}
	return &Admitted{Permit: &p}
}

func (s *state) onReport(m *Report) {
	p := m.Permit
	if p == nil || p.b != s.b {
		if s.b.logger != nil {
			s.b.logger.Warn("a circuit breaker got the report of a permit that is settled already, or another breaker's",
				slog.String("service", s.b.service))
		}
		return
	}
	if r, ok := p.result(m.Verdict, holdOf(m.Err)); ok {
		e := s.begin()
		e.report(r)
		s.commit(e)
	}
}

func (s *state) onCall(sender *actor.PID, m *Call) {
	b := s.b
	reply := func(err error) {
		if sender != nil {
			b.system.Root.Send(sender, &CallResult{err})
		}
	}
	if m.Fn == nil {
		reply(fmt.Errorf("breaker of %s: a Call to %q has no Fn", b.service, m.Path))
		return
	}
	if b.own.more().calls == nil {
		b.own.more().calls, b.own.more().cancel = context.WithCancel(context.Background())
	}
	parent := b.own.more().calls
	timeout := s.b.view.Load().set.RequestTimeout
	b.own.ending.Add(1)
	go func() {
		defer b.own.ending.Done()
		err := fmt.Errorf("breaker of %s: the Fn of a Call to %q ended its goroutine", b.service, m.Path)
		defer func() {
			if r := recover(); r != nil {
				err = &PanicError{r, debug.Stack()}
			}
			reply(err)
		}()
		ctx, cancel := context.WithTimeoutCause(parent, timeout, ErrTimeout)
		defer cancel()
		err = b.Do(ctx, m.Path, m.Fn)
	}()
}
