package chassistest

import (
	"context"
	"errors"
	"slices"
	"time"
)

// weather is what lasts for a time: until when, since the beginning.
type weather struct {
	cut, suspended map[int]time.Duration // by process
	throttle, deny map[Step]time.Duration
	expired        time.Duration
	skew           map[int]time.Duration // how far a clock is ahead
	known          map[*arrival]bool     // requests and runs that wait at the gate
}

func newWeather() weather {
	return weather{cut: map[int]time.Duration{}, suspended: map[int]time.Duration{},
		throttle: map[Step]time.Duration{}, deny: map[Step]time.Duration{}, skew: map[int]time.Duration{}, known: map[*arrival]bool{}}
}

// strike finds what strikes a, which is the latest step of its kind of its process and
// of the fleet.
func (w *World) strike(a *arrival, s *seat) {
	w.strikes = slices.DeleteFunc(w.strikes, func(f *Fault) bool {
		if f.On != a.step || f.Process == 0 && f.Nth != w.fleet[a.step] ||
			f.Process != 0 && (f.Process != s.number || f.Nth != s.steps[a.step]) {
			return false
		}
		a.strike = append(a.strike, f)
		return true
	})
}

// struckBy returns the fault of one of the kinds in list, or nil.
func (w *World) struckBy(list []*Fault, kinds ...Kind) *Fault {
	for _, f := range list {
		if slices.Contains(kinds, f.Kind) {
			return f
		}
	}
	return nil
}

func (w *World) took(p *Process, f *Fault, labels []string) {
	w.struck = append(w.struck, *f)
	w.note(p, "FAULT", labels, f.String())
}

// come makes a fault happen that comes at a time.
func (w *World) come(f *Fault) {
	now := w.Now()
	until := now + f.For
	var s *seat
	if f.Process > 0 {
		s = w.seats[f.Process-1]
	}
	switch f.Kind {
	case CutOff:
		w.weather.cut[f.Process] = max(w.weather.cut[f.Process], until)
	case Suspend:
		w.weather.suspended[f.Process] = max(w.weather.suspended[f.Process], until)
		if p := s.p; p != nil {
			w.gate.suspend(p, true)
			w.at(w.weather.suspended[f.Process], func() {
				w.gate.suspend(p, w.Now() < w.weather.suspended[p.number])
			})
			for d := range s.p.held { // its leases are not extended any more
				w.touch(d.message.fate, Suspend)
			}
		}
	case Throttle:
		w.weather.throttle[f.On] = max(w.weather.throttle[f.On], until)
	case Deny:
		w.weather.deny[f.On] = max(w.weather.deny[f.On], until)
	case Expire:
		w.weather.expired = max(w.weather.expired, until)
	case Skew:
		w.weather.skew[f.Process] = f.For
	default:
		w.visit(f, s)
		return
	}
	w.struck = append(w.struck, *f)
	w.note(nil, "FAULT", nil, f.String())
	if f.For > 0 {
		w.at(until, func() {}) // what has waited may go on then
	}
}

// visit makes a fault happen that is about one running process.
func (w *World) visit(f *Fault, s *seat) {
	if s == nil { // of the fleet: the first that runs
		for _, one := range w.seats {
			if one.p != nil && one.p.started && !one.p.stopping {
				s = one
				break
			}
		}
	}
	if s == nil || s.p == nil || !s.p.started || s.p.stopping {
		return
	}
	p := s.p
	w.took(p, f, nil)
	switch f.Kind {
	case Deploy:
		w.stop(p, f.Back)
	case DrainDie:
		w.stop(p, f.Back)
		w.after(f.For, func() {
			if !p.stopped && !p.dead {
				w.kill(p)
				w.startAfter(s, f.Back)
			}
		})
	case Apply:
		w.operate(p, func(ctx context.Context) error {
			next := p.settings
			next.Tasks.Workers, next.Tasks.MaxWorkers = f.Arg, f.Arg
			_, err := p.System.Apply(ctx, next)
			return err
		})
	case Pause:
		w.operate(p, func(ctx context.Context) error { return p.Control().Pause(ctx, "") })
		w.after(f.For, func() {
			if !p.dead && !p.stopping {
				w.operate(p, func(ctx context.Context) error { return p.Control().Resume(ctx, "") })
			}
		})
	case Cancel:
		w.cancel(f)
	case Redrive:
		w.operate(p, p.redrive)
	}
}

// operate does something to a process as an operator would, in a goroutine of its own.
func (w *World) operate(p *Process, do func(ctx context.Context) error) {
	w.endings.Go(func() {
		if err := do(p.ctx); err != nil && p.ctx.Err() == nil {
			p.report <- func() { w.note(p, "operator failed", nil, err.Error()) }
			w.gate.knock()
		}
	})
}

// cancel cancels the task of a send, in all processes.
func (w *World) cancel(f *Fault) {
	if f.Arg >= len(w.sends) {
		return
	}
	sent := w.sends[f.Arg]
	if fate := w.book.fates[sent.ExecID]; fate != nil {
		w.touch(fate, Cancel)
	}
	for _, s := range w.seats {
		if p := s.p; p != nil && p.started && !p.stopping {
			w.operate(p, func(ctx context.Context) error {
				_, err := p.Control().CancelExecution(ctx, sent.ExecID, "the storm's operator")
				return err
			})
		}
	}
}

// redrive sends all dead letters back.
func (p *Process) redrive(ctx context.Context) error {
	var all []error
	for d, err := range p.DeadLetters(ctx) {
		if err == nil {
			err = d.SendBack(ctx)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// onQueues counts the messages that the pools' queues hold.
func (w *World) onQueues() (n int) {
	for _, q := range w.queue.Stats().Queues {
		if w.book.pools[q.Name] {
			n += q.Visible + q.InFlight + q.Delayed
		}
	}
	return n
}

// quiet reports whether nothing is left to do.
func (w *World) quiet() bool {
	if w.book.expected > 0 || len(w.gate.here()) > 0 || !w.book.closed() {
		return false
	}
	for _, s := range w.seats {
		if p := s.p; p != nil && (!p.started || p.stopping || p.busy()) {
			return false
		}
	}
	if slices.ContainsFunc(w.more, func(left func() bool) bool { return left() }) {
		return false
	}
	for _, q := range w.queue.Stats().Queues {
		if w.book.pools[q.Name] && q.Visible+q.InFlight+q.Delayed > w.book.ticks.on(q.Name) {
			w.accuse(Stuck, "", "queue %s holds %d visible, %d hidden and %d delayed messages that are in no account",
				q.Name, q.Visible, q.InFlight, q.Delayed)
		}
	}
	return true
}
