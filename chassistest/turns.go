package chassistest

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing/synctest"
	"time"
)

// run is the world's time: it lets through what waits at the gate, one by one.
func (w *World) run() {
	for len(w.findings) == 0 {
		synctest.Wait()
		w.doom()
		w.reports()
		w.vanished()
		w.unheard()
		w.takeIn()
		now := w.Now()
		if p := w.plans.due(now); p != nil {
			p.do()
			continue
		}
		if a := w.choose(); a != nil {
			w.through(a)
			w.look()
			time.Sleep(w.pause(a))
			continue
		}
		if w.quiet() {
			return
		}
		if now > w.storm.limit {
			if w.onQueues() == 0 {
				return // the queue has dropped what is missing: that is judged
			}
			w.accuse(Stuck, "", "after %v the queue is not empty: %s", w.storm.limit, w.book.left())
			return
		}
		w.sleep(now)
	}
}

// sleep waits until something comes to the gate, or the next plan is due.
func (w *World) sleep(now time.Duration) {
	next := w.storm.limit + time.Second
	if len(w.plans) > 0 {
		next = min(next, w.plans[0].at)
	}
	timer := time.NewTimer(max(next-now, 0))
	defer timer.Stop()
	select {
	case <-w.gate.came:
	case <-timer.C:
	}
}

// pause is the time that passes after a step: so no two timers that begin in different
// steps end at one instant, where the runtime would fire them in any order.
func (w *World) pause(a *arrival) time.Duration {
	return time.Duration(10_000 + digest(a.key).number(w.schedule.Seed).mixed()%900_000)
}

// random draws numbers for a process by the time alone: so it does not matter which of two
// goroutines draws first.
func (w *World) random(process int) func() float64 {
	base := digestStart.number(w.schedule.Seed).number(uint64(process))
	return func() float64 { return float64(base.number(uint64(w.Now())).mixed()>>11) / (1 << 53) }
}

// choose returns the arrival that is next, or nil. It is the one with the lowest number
// that the seed gives to what it is: so a fault that is left out changes the order of the
// others as little as can be.
func (w *World) choose() *arrival {
	var next *arrival
	for _, a := range w.gate.here() {
		if !w.ready(a) {
			continue
		}
		if next == nil || a.key < next.key || a.key == next.key && a.compare(next) < 0 {
			next = a
		}
	}
	return next
}

// takeIn takes note of those that have just come to the gate, in an order of its own.
func (w *World) takeIn() {
	var fresh []*arrival
	for _, a := range w.gate.here() {
		if !a.known {
			a.known = true
			if a.req != nil || a.step == OnStart {
				w.weather.known[a] = true
			}
			fresh = append(fresh, a)
		}
	}
	for _, a := range fresh {
		w.book.preview(a)
	}
	slices.SortStableFunc(fresh, (*arrival).compare)
	for _, a := range fresh {
		w.book.label(a)
		seat := w.seats[a.p.number-1]
		if !a.answer {
			seat.steps[a.step]++
			w.fleet[a.step]++
			w.strike(a, seat)
		}
		d := digestStart.number(w.schedule.Seed).number(uint64(a.p.number)).text(string(a.step)).text(a.name)
		for _, name := range a.labels {
			d = d.text(name)
		}
		if a.answer {
			d = d.number(1)
		}
		a.key = d.number(uint64(seat.steps[a.step])).mixed()
	}
}

// unheard takes note of what the queue has done for processes that did not hear of it: they
// died, or gave up, at the time of the answer.
func (w *World) unheard() {
	missed := slices.DeleteFunc(w.gate.missed(), func(a *arrival) bool { return a.req.done })
	for _, a := range missed {
		w.book.preview(a)
	}
	slices.SortStableFunc(missed, (*arrival).compare)
	for _, a := range missed {
		w.book.label(a)
		kind := LateAnswer
		if a.p.dead {
			kind = DieBefore
		}
		w.touchAll(a, kind)
		if len(a.labels) > 0 {
			w.note(a.p, string(a.step)+" answered", a.labels, "not heard")
		}
	}
}

// look asks what must always hold.
func (w *World) look() {
	for _, c := range w.always {
		if err := c.look(); err != nil {
			w.accuse(c.name, "", "%v", err)
			return
		}
	}
}

// judge asks what must hold in the end.
func (w *World) judge() {
	w.book.judge()
	for _, c := range w.eventually {
		if err := c.look(); err != nil {
			w.accuse(c.name, "", "%v", err)
		}
	}
}

// accuse notes something that does not hold, unless the storm does not judge it.
func (w *World) accuse(invariant, label, format string, args ...any) {
	if !w.storm.judges(invariant) {
		return
	}
	f := Finding{Invariant: invariant, Task: label, What: fmt.Sprintf(format, args...), At: w.Now()}
	w.findings = append(w.findings, f)
	w.note(nil, "FOUND", nil, f.String())
}

func (w *World) note(p *Process, what string, labels []string, note string) {
	e := Event{At: w.Now(), What: what, Tasks: labels, Note: note}
	if p != nil {
		e.Process, e.Life = p.number, p.life
	}
	w.trace.add(e)
}

func (w *World) result() *result {
	r := &result{schedule: w.schedule, findings: w.findings, trace: w.trace, sent: len(w.sends), struck: w.struck,
		tasks: len(w.book.order)}
	for _, f := range w.book.order {
		if f.touches == 0 {
			r.untouched++
		}
	}
	return r
}

// planned is something that the world does at a time.
type planned struct {
	at    time.Duration
	order int
	do    func()
}

// plans are what the world is going to do, by time.
type plans []*planned

func (p plans) Len() int { return len(p) }

func (p plans) Less(i, j int) bool {
	return p[i].at < p[j].at || p[i].at == p[j].at && p[i].order < p[j].order
}

func (p plans) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

func (p *plans) Push(x any) { *p = append(*p, x.(*planned)) }

func (p *plans) Pop() any {
	old := *p
	last := old[len(old)-1]
	*p = old[:len(old)-1]
	return last
}

// due takes the next plan that is due, or nil.
func (p *plans) due(now time.Duration) *planned {
	if len(*p) == 0 || (*p)[0].at > now {
		return nil
	}
	return heap.Pop(p).(*planned)
}

// at plans something for a time since the beginning.
func (w *World) at(at time.Duration, do func()) {
	w.orders++
	heap.Push(&w.plans, &planned{at, w.orders, do})
}

// after plans something for a time from now.
func (w *World) after(d time.Duration, do func()) { w.at(w.Now()+d, do) }

// perform makes a request of the queue that no process waits for.
func (w *World) perform(q *request) *reply {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://sqs.local/",
		bytes.NewReader(q.body))
	if err != nil {
		return &reply{err: err}
	}
	r.Header = q.header.Clone()
	res, err := w.queue.HTTPClient().Transport.RoundTrip(r)
	if err != nil {
		return &reply{err: err}
	}
	body, err := readAll(res.Body, res.ContentLength)
	_ = res.Body.Close() // it is in memory
	return &reply{status: res.StatusCode, header: res.Header, body: body, err: err}
}
