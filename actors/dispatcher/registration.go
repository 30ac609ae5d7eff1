package dispatcher

import (
	"errors"
	"fmt"
	"runtime/debug"
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
		r.chain = task.Chain(m.Handler, append(slices.Clone(c.middleware), m.Spec.Middleware...)...)
	}
	return nil
}

func (d *dispatcher) onRegister(m *Register) {
	d.registered++
	seq, sender, self, root, core := d.registered, d.ctx.Sender(), d.self, d.system.Root, d.core
	d.crew.Run(job{f: func() {
		var r *registration
		defer func() { // also when a builder ends the goroutine
			if r == nil {
				r = &registration{reply: m.reply, err: fmt.Errorf("register task %q: building its middleware: %w", m.Spec.Name, task.ErrGoexit)}
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
		t = &entry{meter: d.monitor.meter(r.spec.Name)}
		d.registry[r.spec.Name] = t
	case r.seq < t.seq: // a later one was faster
		return &Registered{Replaced: true}
	default:
		d.log.Warn("a task is registered again: the new one replaces the old", "task", r.spec.Name)
	}
	t.spec, t.seq = r.spec, r.seq
	spec := t.spec // the meter is read from outside
	t.meter.spec.Store(&spec)
	t.meter.registered.Store(true)
	t.chain, t.actor = r.chain, r.actor
	d.unpark(t, len(t.parked))
	if d.early == nil { // else Started asks for all at once
		d.lookAtOnFail(t.spec)
	}
	return &Registered{Replaced: replaced}
}
