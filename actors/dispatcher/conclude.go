package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sambatech/chassis/task"
)

// The end of an attempt.

func contextCause(a *attempt) error { return context.Cause(a.ctx) }

// onAnswered ends an attempt that has an outcome.
func (d *dispatcher) onAnswered(a *attempt) {
	e := a.exec
	if e.cur != a || d.execs[e.lease] != e {
		return // of an earlier incarnation
	}
	d.release(a)
	e.endSteps(a)
	var cause error // why the ctx had ended before its handler
	if a.out.kind != outDone {
		cause = context.Cause(a.ctx)
	}
	a.cancel(nil)
	if a.stop != nil {
		a.stop()
	}
	d.dismiss(a)
	d.unstall(a)
	e.cur = nil
	e.runs++
	d.slots.running--
	d.turnover.ended(&a.stint, a.took)
	e.entry.running--
	d.monitor.running.Add(-1)
	e.entry.meter.running.Add(-1)
	e.entry.meter.took.add(a.took)
	d.isolation.ended(e, a.took)
	if d.permits.keeper != nil {
		d.permits.back++
	}
	if d.giveClaim(e); d.permits.keeper == nil {
		d.unpark(e.entry, 1)
	}
	if d.drain != nil && cause == nil {
		d.drain.finished++
	}
	out := d.overruled(e, a, cause)
	d.noteServices(e, a, out)
	d.endSpan(a, out, d.conclude(e, a, out))
	d.pump()
}

// overruled is a's outcome, or what an operator or a drain made of it. A
// handler that is done is done.
func (d *dispatcher) overruled(e *execution, a *attempt, cause error) outcome {
	out := a.out
	if out.kind == outDone {
		return out
	}
	if e.forced != nil {
		forced := *e.forced
		e.forced = nil
		return forced
	}
	if out.kind == outFailed && errors.Is(cause, ErrDrained) && !a.abandoned {
		return outcome{kind: outInterrupted, err: out.err}
	}
	if out.kind == outFailed && cause != nil && !errors.Is(out.err, cause) {
		out.err = &endedError{err: out.err, cause: cause}
	}
	return out
}

// conclude does what follows from the end of an attempt, and names it.
func (d *dispatcher) conclude(e *execution, a *attempt, out outcome) (next string) {
	now := time.Now()
	d.note(e, a, out)
	if e.lost {
		if out.kind == outDone || out.gone { // perhaps the handle still works
			return d.end(e, a, out)
		}
		d.drop(e)
		return nextDropped
	}
	if out.gone {
		return d.end(e, a, out)
	}
	explains := e.runs > 0 && e.seen()
	if a.abandoned && d.drain != nil && d.drain.over {
		d.drain.released++
		e.ledger.failures++
		d.giveBackUnrun(e, 0)
		return nextGivenBack
	}
	out = d.spare(e, a, out, now)
	out = e.noteOpening(out, now)
	if out.kind == outRefused || out.kind == outUnopened {
		out.wait = spread(out.wait, d.random)
	}
	var verdict verdict
	full := out.kind != outDone && !d.ordered && !d.fits(e)
	if full && e.journal != nil {
		d.noteStay(e)
	}
	e.ledger, verdict = decide(e.ledger, out, e.entry.spec.Wait, room{
		holdLimit: d.HoldLimit, ordered: d.ordered, leaseLeft: hideLeft(e.received, now),
		keptLeft: d.timing(e).kept(now).Sub(now), retention: d.retention(),
		canHold:   d.drain == nil && !a.abandoned && (d.held < d.MaxHeld && (!explains || full) || d.ordered),
		full:      full,
		spendOpen: d.spends(e.entry), random: d.random,
	})
	if out.kind == outFailed || out.kind == outRefused || out.kind == outUnopened {
		e.msg.LastError = task.ErrorText(out.err.Error())
	}
	verdict.wait = d.noteLimits(e, out, verdict, now)
	switch verdict.kind {
	case finish:
		d.finish(e, &a.info)
		return nextFinished
	case hold:
		d.hold(e, verdict.wait, now)
		return nextHeld
	case hide:
		d.hide(e, verdict.wait)
	case reissue:
		d.reissue(e, verdict.wait)
	case giveUp:
		err := out.err
		if verdict.reason == task.ReasonTooLate {
			err = &tooLateError{err: err, due: now.Add(verdict.wait), kept: d.timing(e).kept(now),
				retention: d.retention()}
		}
		d.giveUp(e, verdict.reason, err)
		return nextGivenUp
	}
	return nextGivenBack
}

// end deletes a message that is done, or was cancelled with no trace to be left.
func (d *dispatcher) end(e *execution, a *attempt, out outcome) (next string) {
	if out.gone {
		d.endCancelled(e, out)
		return nextCancelled
	}
	d.finish(e, &a.info)
	return nextFinished
}

// spread lengthens the wait for an open breaker by up to a quarter, at most
// 5 s. Otherwise all that it refused would come back at one instant. A half-open
// breaker lets a few of them in and sends the rest away for longer. Spread out, the
// first ones close it for those behind.
func spread(wait time.Duration, random func() float64) time.Duration {
	return wait + time.Duration(random()*float64(min(wait/4, 5*time.Second)))
}

func (d *dispatcher) spends(t *entry) bool {
	if t.spec.BreakerSpend != nil {
		return *t.spec.BreakerSpend
	}
	return d.OpenBreakerSpends
}

// logEnd logs the end of a task actor's attempt, as the middleware around a
// function does.
func (d *dispatcher) logEnd(a *attempt, err error) {
	end := d.logging(func(context.Context, task.Job[json.RawMessage]) error { return err })
	_ = end(a.ctx, task.Job[json.RawMessage]{Info: &a.info}) // it is err
}

// note counts, logs and publishes how an attempt ended.
func (d *dispatcher) note(e *execution, a *attempt, out outcome) {
	m := e.entry.meter
	kind := Interrupted
	switch out.kind {
	case outDone:
		m.succeeded.Add(1)
		kind = Succeeded
	case outFailed, outCancelled, outUndecodable:
		if out.gone {
			m.interrupted.Add(1)
			break
		}
		m.failed.Add(1)
		kind = AttemptFailed
		var p *task.PanicError
		if errors.As(out.err, &p) {
			m.panicked.Add(1)
		}
	case outRefused, outUnopened:
		m.refused.Add(1)
	default:
		m.interrupted.Add(1)
	}
	if e.entry.actor != nil {
		d.logEnd(a, out.err)
	}
	d.emit(kind, e, func(ev *Event) {
		ev.Attempt, ev.Took = a.info.Attempt, a.took
		if out.err != nil {
			ev.Error = out.err.Error()
		}
	})
}
