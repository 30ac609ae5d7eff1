package chassistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// weather is what lasts for a time: until when, since the beginning.
type weather struct {
	cut, suspended map[int]time.Duration // by process
	throttle, deny map[Step]time.Duration
	expired        time.Duration
	skew           map[int]time.Duration // how far a clock is ahead
	known          map[*arrival]bool     // requests that wait at the gate
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

// struckBy returns the fault of a kind that strikes a, or nil, and notes that it does.
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

// start starts the next life of a process.
func (w *World) start(s *seat) {
	s.planned = false
	if s.p != nil {
		return
	}
	s.lives++
	p, err := w.newProcess(s.number, s.lives)
	if err != nil {
		w.accuse(Plays, "", "process %d cannot be made: %v", s.number, err)
		return
	}
	s.p = p
	w.note(p, "starts", nil, "")
	w.endings.Go(func() {
		err := p.Start(p.ctx)
		p.report <- func() {
			switch {
			case p.dead:
			case err != nil:
				w.note(p, "cannot start", nil, err.Error())
				w.kill(p)
				w.startAfter(s, time.Second) // as what watches over processes does
			default:
				p.started = true
				w.note(p, "runs", nil, "")
			}
		}
		w.gate.knock()
	})
}

func (w *World) startAfter(s *seat, d time.Duration) {
	if !s.planned {
		s.planned = true
		w.after(d, func() { w.start(s) })
	}
}

// stop stops a process in order, and starts it again after a time.
func (w *World) stop(p *Process, back time.Duration) {
	s := w.seats[p.number-1]
	p.stopping = true
	w.note(p, "stops", nil, "")
	w.endings.Go(func() {
		err := p.System.Stop(context.Background())
		p.report <- func() {
			if p.dead {
				return
			}
			note := ""
			if err != nil {
				note = err.Error()
			}
			w.note(p, "has stopped", nil, note)
			p.stopped = true
			for r := range p.runs { // abandoned: they are out of the runtime's hands
				w.touch(r.fate, Deploy)
			}
			w.bury(p)
			w.startAfter(s, back)
		}
		w.gate.knock()
	})
}

// kill ends a process without a word.
func (w *World) kill(p *Process) {
	w.note(p, "DIES", nil, "")
	for d := range p.held {
		w.touch(d.message.fate, DieBefore)
	}
	for r := range p.runs {
		w.touch(r.fate, DieBefore)
	}
	w.bury(p)
	w.endings.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.System.Stop(ctx) // what a dead process says is not heard
	})
}

// bury makes p a process that is not heard any more.
func (w *World) bury(p *Process) {
	w.gate.bury(p)
	for r := range p.runs {
		r.cancel(errGone)
	}
	p.end()
	if s := w.seats[p.number-1]; s.p == p {
		s.p = nil
	}
}

// die is a death by a fault.
func (w *World) die(p *Process, f *Fault, labels []string) {
	w.took(p, f, labels)
	w.kill(p)
	w.startAfter(w.seats[p.number-1], f.Back)
}

// doom kills those that were to die once what they have done last is done.
func (w *World) doom() {
	for _, p := range w.doomed {
		if !p.dead {
			w.kill(p)
		}
	}
	w.doomed = nil
}

// reports does what follows from starts and stops that have ended.
func (w *World) reports() {
	for _, s := range w.seats {
		for p := s.p; p != nil; {
			select {
			case f := <-p.report:
				f()
				continue
			default:
			}
			break
		}
	}
}

// ready reports whether a may be let through now.
func (w *World) ready(a *arrival) bool {
	now := w.Now()
	return now >= w.weather.suspended[a.p.number] && (a.from.IsZero() || !time.Now().Before(a.from))
}

// through lets a through, or does what strikes it.
func (w *World) through(a *arrival) {
	if f := w.struckBy(a.strike, DieBefore); f != nil {
		w.die(a.p, f, a.labels)
		return
	}
	switch {
	case a.req != nil && a.answer:
		w.answer(a)
	case a.req != nil:
		w.ask(a)
	default:
		w.act(a)
	}
}

// let releases a, and notes it.
func (w *World) let(a *arrival, what, note string) {
	delete(w.weather.known, a)
	if w.gate.release(a, pass) {
		w.note(a.p, what, a.labels, note)
	}
}

// ask lets a request through to the queue, or has it refused.
func (w *World) ask(a *arrival) {
	q := a.req
	if q.refusal = w.refusal(a); q.refusal != nil {
		w.touchAll(a, LoseRequest)
		w.let(a, string(a.step), "refused")
		return
	}
	if f := w.struckBy(a.strike, LateRequest); f != nil && a.from.IsZero() {
		w.took(a.p, f, a.labels)
		w.touchAll(a, LateRequest)
		w.late(a, f)
		return
	}
	if f := w.struckBy(a.strike, SplitBatch); f != nil {
		w.took(a.p, f, a.labels)
		w.split(a)
	}
	if f := w.struckBy(a.strike, Repeat); f != nil {
		w.took(a.p, f, a.labels)
		w.touchAll(a, Repeat)
		again := q.copy()
		w.after(f.For, func() { w.ghost(a.p, again) })
	}
	q.strikes = a.strike
	w.let(a, string(a.step), "")
}

// refusal is what a gets in place of the queue's answer, or nil.
func (w *World) refusal(a *arrival) *reply {
	now := w.Now()
	switch {
	case now < w.weather.cut[a.p.number]:
		return disconnected()
	case now < w.weather.expired:
		return expired()
	case now < w.weather.deny[a.step]:
		return denied(a.req.op)
	case now < w.weather.throttle[a.step]:
		return throttled()
	}
	f := w.struckBy(a.strike, LoseRequest, Fail)
	if f == nil {
		return nil
	}
	w.took(a.p, f, a.labels)
	if f.Kind == Fail {
		return broken()
	}
	return disconnected()
}

// late holds a back. If its process does not wait for so long, the request reaches the
// queue all the same.
func (w *World) late(a *arrival, f *Fault) {
	a.from = time.Now().Add(f.For)
	again := a.req.copy()
	w.after(f.For, func() {
		if !slices.Contains(w.gate.here(), a) && a.step != OnReceive {
			w.ghost(a.p, again)
		}
	})
}

// split has some of the entries of a batch fail.
func (w *World) split(a *arrival) {
	q := a.req
	left := map[string]bool{}
	for i, e := range q.entries {
		if len(q.entries) == 1 || digest(a.key).number(uint64(i)).mixed()%2 == 0 {
			left[e.id] = true
			q.split = append(q.split, e.id)
			w.touch(e.fate, SplitBatch)
		}
	}
	if len(left) == len(q.entries) {
		q.refusal, q.split = broken(), nil
	} else if len(left) > 0 {
		q.body = q.without(left)
	}
}

// ghost is a request that reaches the queue without its process.
func (w *World) ghost(p *Process, q *request) {
	if p.dead {
		return
	}
	q.answer = w.perform(q)
	q.done = false
	q.read()
	labels := w.book.observe(p, q)
	w.note(p, "late "+string(stepOf(q.op)), labels, "")
}

// answer lets an answer of the queue through.
func (w *World) answer(a *arrival) {
	q := a.req
	if f := w.struckBy(q.strikes, DieAfter); f != nil {
		w.die(a.p, f, a.labels)
		return
	}
	if f := w.struckBy(q.strikes, LateAnswer); f != nil && a.from.IsZero() {
		w.took(a.p, f, a.labels)
		w.touchAll(a, LateAnswer)
		a.from = time.Now().Add(f.For)
		w.after(f.For, func() {})
		return
	}
	if f := w.struckBy(q.strikes, DeliverTwice); f != nil {
		w.took(a.p, f, a.labels)
		w.deliverTwice(q, f)
	}
	lost := w.struckBy(q.strikes, LoseAnswer)
	if lost != nil {
		w.took(a.p, lost, a.labels)
	}
	if lost != nil || w.Now() < w.weather.cut[a.p.number] {
		w.touchAll(a, LoseAnswer)
		q.answer = disconnected()
		w.let(a, string(a.step)+" answered", "lost")
		return
	}
	if a.step == OnDelete {
		w.book.acknowledged(a)
	}
	note := ""
	if q.answer.err != nil {
		note = q.answer.err.Error()
	} else if q.answer.status != 200 {
		note = fmt.Sprintf("%d %s", q.answer.status, q.answer.body)
	}
	w.let(a, string(a.step)+" answered", note)
}

// deliverTwice makes what a receive brought visible again.
func (w *World) deliverTwice(q *request, f *Fault) {
	receipts := make([]string, 0, len(q.entries))
	for _, e := range q.entries {
		receipts = append(receipts, e.receipt)
	}
	w.after(f.For, func() {
		for _, receipt := range receipts {
			d := w.book.receipts[receipt]
			if d == nil || d.message.gone {
				continue
			}
			d.message.doubled = true
			w.touch(d.message.fate, DeliverTwice)
			url := "http://sqs.local/000000000000/" + d.message.pool
			_, _ = w.client.ChangeMessageVisibility(context.Background(),
				&sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: &receipt}) // it may be gone
			w.note(nil, "visible again", []string{d.message.fate.label}, "")
		}
	})
}

// act lets a step of a handler through.
func (w *World) act(a *arrival) {
	note := a.note
	if a.name != "" {
		note = a.name + " " + a.note
	}
	after := w.struckBy(a.strike, DieAfter)
	switch a.step {
	case OnStart:
		w.book.begins(a.run)
		note = fmt.Sprintf("attempt %d", a.run.info.Attempt)
	case OnCall:
		a.call.strike = a.strike
		for _, f := range a.strike {
			w.took(a.p, f, a.labels)
		}
		if w.struckBy(a.strike, CallFails) == nil {
			w.effect(a)
		}
	case OnEffect:
		w.effect(a)
	case OnEnd:
		w.book.ends(a.run)
		note = "done"
		if a.run.err != nil {
			note = a.run.err.Error()
		}
	}
	w.let(a, string(a.step), note)
	if after != nil {
		w.took(a.p, after, a.labels)
		w.startAfter(w.seats[a.p.number-1], after.Back)
		w.doomed = append(w.doomed, a.p)
		if a.step == OnEffect {
			w.doom()
		}
	}
}

// effect notes an effect.
func (w *World) effect(a *arrival) {
	r := a.run
	if r.over && w.storm.judges(Stray) {
		w.accuse(Stray, r.fate.label, "%q comes after the handler has ended", a.name)
	}
	e := a.effect
	e.Task, e.ExecID, e.Attempt, e.Process, e.At = r.fate.label, r.info.ExecID, r.info.Attempt, r.p.number, w.Now()
	w.mu.Lock()
	w.effects = append(w.effects, *e)
	w.mu.Unlock()
}

// touch notes that a fault has touched a task.
func (w *World) touch(f *fate, kind Kind) {
	if f != nil {
		f.touches++
		f.touched[kind]++
	}
}

func (w *World) touchAll(a *arrival, kind Kind) {
	for _, e := range a.req.entries {
		w.touch(e.fate, kind)
	}
}

// vanished notes the requests that have left the gate by themselves: their process no
// longer waits for them.
func (w *World) vanished() {
	here := w.gate.here()
	for a := range w.weather.known {
		if !slices.Contains(here, a) {
			delete(w.weather.known, a)
			if !a.p.dead {
				w.touchAll(a, LateAnswer)
			}
		}
	}
	for _, a := range here {
		if a.req != nil && a.known {
			w.weather.known[a] = true
		}
	}
}

// quiet reports whether nothing is left to do.
func (w *World) quiet() bool {
	if w.book.expected > 0 || w.book.open > 0 || len(w.gate.here()) > 0 {
		return false
	}
	for _, s := range w.seats {
		if p := s.p; p != nil && (!p.started || p.stopping || len(p.runs) > 0) {
			return false
		}
	}
	for _, q := range w.queue.Stats().Queues {
		if w.book.pools[q.Name] && q.Visible+q.InFlight+q.Delayed > 0 {
			w.accuse(Stuck, "", "queue %s holds %d visible, %d hidden and %d delayed messages that are in no account",
				q.Name, q.Visible, q.InFlight, q.Delayed)
		}
	}
	return true
}
