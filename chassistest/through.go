package chassistest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// ready reports whether a may be let through now.
func (w *World) ready(a *arrival) bool {
	now := w.Now()
	return now >= w.weather.suspended[a.p.number] && (a.from.IsZero() || !time.Now().Before(a.from))
}

// through lets a through, or does what strikes it.
func (w *World) through(a *arrival) {
	a.p.troubled = a.p.troubled || len(a.strike) > 0
	if f := w.struckBy(a.strike, DieBefore); f != nil {
		w.die(a.p, f, a.labels)
		return
	}
	switch {
	case a.req != nil && a.answer:
		w.answer(a)
	case a.req != nil:
		w.ask(a)
	case a.step == OnStatement:
		w.statement(a)
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
		a.p.troubled = true
		w.fails(a)
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
	q.strikes, q.skew = a.strike, w.weather.skew[a.p.number]
	note := ""
	if a.step == OnLook || a.step == OnSend {
		note = a.name
	}
	w.let(a, string(a.step), note)
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
	q.answer, q.at = w.perform(q), w.Now()
	q.done, q.ghost = false, true
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
		a.p.troubled = true
		w.fails(a)
		q.answer = disconnected()
		w.let(a, string(a.step)+" answered", "lost")
		return
	}
	if q.answer.err == nil && q.answer.status == http.StatusOK && len(q.split) == 0 {
		delete(a.p.refused, a.name)
	}
	if a.step == OnDelete {
		w.book.acknowledged(a)
	}
	note := ""
	if q.answer.err != nil {
		note = q.answer.err.Error()
	} else if q.answer.status != http.StatusOK {
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
	if a.crash {
		w.note(a.p, "crash", a.labels, "")
		w.kill(a.p)
		w.startAfter(w.seats[a.p.number-1], crashBack)
		return
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
			note = errorText(a.run.err)
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

// errorText is the text of an error of a handler. The methods of a nil pointer panic.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T that panics", err)
		}
	}()
	return err.Error()
}

// effect notes an effect.
func (w *World) effect(a *arrival) {
	r := a.run
	if r.over && w.storm.judges(Stray) {
		w.accuse(Stray, r.fate.label, "%q comes after the handler has ended", a.name)
	}
	e := a.effect
	e.Task, e.ExecID, e.Attempt, e.Process, e.At = r.fate.label, r.info.ExecID, r.info.Attempt, r.p.number, w.Now()
	w.book.stepped(r, e)
	w.mu.Lock()
	w.effects = append(w.effects, *e)
	w.mu.Unlock()
}

// fails notes that a request has failed. What its process does with the tasks in its
// hands may depend on that, until the same request works.
func (w *World) fails(a *arrival) {
	if a.step == OnReceive {
		return
	}
	a.p.refused[a.name] = true
	for d := range a.p.held {
		w.touch(d.message.fate, LoseRequest)
	}
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
// longer waits for them. A run that has left has lost its ctx before its handler began:
// the process was suspended for so long, and takes it for a failure.
func (w *World) vanished() {
	here := w.gate.here()
	for a := range w.weather.known {
		if !slices.Contains(here, a) {
			delete(w.weather.known, a)
			switch {
			case a.p.dead:
			case a.run != nil:
				a.run.fate.unbegun++
			default:
				w.touchAll(a, LateAnswer)
				w.fails(a)
			}
		}
	}
}
