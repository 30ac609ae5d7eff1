package dispatcher

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"runtime/pprof"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// Making a task known.

// registration is a Register after its user code was called: the builders of its
// middleware, which may panic and may take their time. The caller of New does that,
// or a goroutine of the crew.
type registration struct {
	spec   task.Spec
	chain  task.RawHandler // of a function
	actor  *taskProps      // of a task actor
	err    error           // it cannot be registered
	seq    uint64          // of two of one name the later holds
	reply  chan<- *Registered
	sender *actor.PID
}

// validate returns what is wrong with a registration, or nil.
func (m *Register) validate() error {
	switch {
	case m.Spec.Err() != nil:
		return m.Spec.Err()
	case m.Spec.Name == "":
		return errors.New("register a task: its name is empty")
	case (m.Handler == nil) == (m.Props == nil):
		return fmt.Errorf("register task %q: give either a handler or the props of its actor", m.Spec.Name)
	case m.Props != nil:
		if err := checkProps(m.Props); err != nil {
			return fmt.Errorf("register task %q: %w", m.Spec.Name, err)
		}
	}
	return nil
}

// prepare builds the middleware of m. It calls user's code.
func (m *Register) prepare(c *core) *registration {
	r := &registration{spec: m.Spec.WithDefaults(), reply: m.reply, err: m.validate()}
	if r.err == nil {
		r.err = m.build(r, c)
	}
	return r
}

func (m *Register) build(r *registration, c *core) (err error) {
	err = task.ErrGoexit // unless it returns
	defer func() {
		if v := recover(); v != nil {
			err = &task.PanicError{Value: v, Stack: debug.Stack()}
		}
		if err != nil {
			err = fmt.Errorf("register task %q: building its middleware: %w", m.Spec.Name, err)
		}
	}()
	if m.Props != nil {
		r.actor = newTaskProps(m.Props, m.Spec.Name, c)
	} else {
		outer := []task.Middleware{c.logging, task.Recovery, c.open.opening(m.Spec)}
		r.chain = task.Chain(m.Handler, slices.Concat(outer, c.middleware, m.Spec.Middleware)...)
	}
	return nil
}

func (d *dispatcher) onRegister(m *Register) {
	d.registered++
	seq, sender, self, root, core := d.registered, d.ctx.Sender(), d.self, d.root, d.core
	d.crew.Run(job{f: func() {
		var r *registration
		defer func() { // also when a builder ends the goroutine
			if r == nil {
				r = &registration{reply: m.reply, err: fmt.Errorf("register task %q: building its middleware: %w",
					m.Spec.Name, task.ErrGoexit)}
			}
			r.seq, r.sender = seq, sender
			root.Send(self, r)
		}()
		r = m.prepare(core)
	}})
}

func (d *dispatcher) onPrepared(r *registration) {
	respondTo(d, r.sender, r.reply, d.register(r))
	d.pump()
}

func (d *dispatcher) register(r *registration) *Registered {
	if r.err != nil {
		return &Registered{Err: r.err}
	}
	t := d.registry[r.spec.Name]
	replaced := t != nil
	switch {
	case !replaced:
		t = &entry{meter: d.monitor.meter(r.spec.Name), turns: turns{weights: d.TenantWeights},
			labelled: pprof.WithLabels(d.base, pprof.Labels("task", r.spec.Name, "pool", d.pool))}
		d.registry[r.spec.Name] = t
	case r.seq < t.seq: // a later one was faster
		return &Registered{Replaced: true}
	default:
		d.log.Warn("a task is registered again: the new one replaces the old", "task", r.spec.Name)
	}
	t.spec, t.seq = r.spec, r.seq
	t.behind = nil // what was learned was of the old one
	if len(r.spec.Behind) > 0 {
		t.behind = &behind{named: r.spec.Behind}
	}
	spec := t.spec // the meter is read from outside
	t.meter.spec.Store(&spec)
	t.meter.registered.Store(true)
	t.chain, t.actor = r.chain, r.actor
	d.unpark(t, len(t.parked))
	if d.gates != nil {
		d.countBehind()
	}
	if d.early == nil { // else Started asks for all at once
		d.lookAtOnFail(t.spec)
	}
	return &Registered{Replaced: replaced}
}

// taskProps are the props of a task actor, fit to be spawned by the dispatcher.
type taskProps struct {
	props *actor.Props
	// foreign props have a mailbox, a dispatcher or a spawn function of their
	// own: even to post a message runs user's code, so a crew member posts it.
	foreign bool
}

// errGuardian refuses props that Proto.Actor spawns as root actors alone.
var errGuardian = errors.New("the props have a guardian (actor.WithGuardian), which is for root actors alone: " +
	"the supervisor of a task actor is the dispatcher; leave the option out")

// errProducer refuses props that make no actor.
var errProducer = errors.New("the props have no producer: make them with actor.PropsFromProducer")

// checkProps returns why no task actor can be spawned from props, or nil.
func checkProps(props *actor.Props) error {
	switch {
	case has(props, "guardianStrategy"):
		return errGuardian
	case !has(props, "producer") && !has(props, "spawner"):
		return errProducer
	}
	return nil
}

// has reports whether an option of props is set. Proto.Actor shows none of
// them; a test holds the names against the library.
func has(props *actor.Props, option string) bool {
	field := reflect.ValueOf(props).Elem().FieldByName(option)
	return field.IsValid() && !field.IsNil()
}

// newTaskProps returns a copy of props with the guard of a task actor around
// each message. It calls the user's receiver middleware builders, which may
// panic.
func newTaskProps(props *actor.Props, name string, c *core) *taskProps {
	copied := *props
	t := &taskProps{props: &copied, foreign: has(props, "dispatcher") || has(props, "mailboxProducer") ||
		has(props, "spawner")}
	if !has(props, "dispatcher") {
		copied.Configure(actor.WithDispatcher(c.crew))
	}
	if !has(props, "mailboxProducer") {
		copied.Configure(actor.WithMailbox(actor.UnboundedLockfree())) // half the memory, for a short life
	}
	g := &guard{task: name, log: c.log}
	copied.Configure(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, env *actor.MessageEnvelope) { g.receive(next, ctx, env) }
	}))
	return t
}
