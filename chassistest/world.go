package chassistest

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// World is one play of a [Storm]: a fleet of processes on one queue, what is sent to
// it, and what must hold. Its methods are for the play, before anything has begun, but
// for Effect, Effects, History and Now.
type World struct {
	storm    *storm
	schedule Schedule
	draws    *rand.Rand
	began    time.Time
	gate     *gate
	queue    *localsqs.Server
	client   *sqs.Client // the world's own way to the queue
	log      stormLog
	trace    *trace

	services   []func(*Process)
	sends      []*Sent
	upstreams  map[string]*Upstream
	always     []check
	eventually []check

	mu      sync.Mutex
	effects []Effect

	// The world's goroutine alone:
	seats    []*seat
	plans    plans
	orders   int
	book     *book
	strikes  []*Fault // of the schedule that come at a step
	fleet    map[Step]int
	weather  weather
	findings []Finding
	struck   []Fault
	doomed   []*Process // that die once all is quiet
	endings  sync.WaitGroup
	settled  time.Duration // since when nothing is left to do; 0: there is
}

// check is something that must hold.
type check struct {
	name string
	look func() error
}

// seat is the place of one process of the fleet.
type seat struct {
	number  int
	lives   int
	p       *Process // nil: it is down
	steps   map[Step]int
	due     time.Duration // when it is started again
	planned bool
}

// Effect is something that a handler has done to the world outside.
type Effect struct {
	Name    string
	Args    []any
	Task    string // the label of the task, as in a timeline
	ExecID  string
	Attempt int
	Process int
	At      time.Duration // since the beginning
}

// Sent is one task that a play sends. Its fields do not change.
type Sent struct {
	Label  string // as in a timeline: the task's name, # and a number
	ExecID string
	At     time.Duration

	number  int
	message func(execID string) (*task.Outgoing, error)
}

// submitWithin is the time in which [Submit] sends.
const submitWithin = 10 * time.Second

// Submit sends a task at a time that is drawn, in the first ten seconds.
func Submit[A any](w *World, def *task.Definition[A], args A, opts ...task.Option) *Sent {
	return SubmitAt(w, time.Duration(w.draws.Int64N(int64(submitWithin))), def, args, opts...)
}

// SubmitAt sends a task at a time since the beginning. Nothing goes wrong with it: the
// faults begin when the queue has it. Its exec_id is its label, unless opts set one, and
// it belongs to a job of that name.
func SubmitAt[A any](w *World, at time.Duration, def *task.Definition[A], args A, opts ...task.Option) *Sent {
	label := w.book.name(def.Name())
	s := &Sent{Label: label, ExecID: label, At: at, number: len(w.sends)}
	s.message = func(execID string) (*task.Outgoing, error) {
		if err := def.Spec().Err(); err != nil {
			return nil, err
		}
		all := []task.Option{task.ExecID(execID), task.ForJob(label, def.Name())}
		if home := def.Spec().Pool; home != "" {
			all = append(all, task.Pool(home))
		}
		return task.Encode(def.Name(), args, time.Now(), append(all, opts...)...)
	}
	w.sends = append(w.sends, s)
	return s
}

// Service says what each process registers when it starts: its tasks, its breakers. It
// is called for every life of every process.
func (w *World) Service(register func(p *Process)) { w.services = append(w.services, register) }

// Rand draws for the play: the same numbers for the same seed. It is not for handlers.
func (w *World) Rand() *rand.Rand { return w.draws }

// Now is the simulated time since the beginning.
func (w *World) Now() time.Duration { return time.Since(w.began) }

// Eventually must hold once all tasks have ended and nothing is on the queue. An error
// says what does not.
func (w *World) Eventually(name string, look func() error) {
	w.eventually = append(w.eventually, check{name, look})
}

// Always must hold after everything that happens.
func (w *World) Always(name string, look func() error) {
	w.always = append(w.always, check{name, look})
}

// Effect does something to the world outside: what a statement to a database or a call
// does that either happens or does not. The process may die before it or after it. It
// returns an error, and nothing has happened, if ctx has ended. ctx is the handler's; one
// of context.WithoutCancel will do. In a process that has died it does not return.
func (w *World) Effect(ctx context.Context, name string, args ...any) error {
	r := runOf(ctx)
	if r == nil {
		panic(fmt.Sprintf("chassistest: Effect %q: its ctx is not a handler's: pass on the one that the handler got",
			name))
	}
	a := &arrival{p: r.p, step: OnEffect, run: r, name: name, note: fmt.Sprint(args...)}
	a.effect = &Effect{Name: name, Args: args}
	switch o, err := w.gate.wait(ctx, a); {
	case err != nil:
		return err
	case o == dead:
		leave()
	}
	return nil
}

// Effects are the effects of a name so far, in order; of all names if it is empty.
func (w *World) Effects(name string) []Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name == "" {
		return slices.Clone(w.effects)
	}
	var list []Effect
	for _, e := range w.effects {
		if e.Name == name {
			list = append(list, e)
		}
	}
	return list
}

// History is everything that has happened so far, in order. It is for the functions of
// Eventually and Always.
func (w *World) History() []Event { return w.trace.events[:len(w.trace.events):len(w.trace.events)] }

// stormLog keeps the last of what the processes log at level error.
type stormLog struct {
	mu sync.Mutex
	b  []byte
}

const logKept = 64 << 10

func (l *stormLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	if len(l.b) > 2*logKept {
		l.b = slices.Clone(l.b[len(l.b)-logKept:])
	}
	return len(p), nil
}

func newWorld(s *storm, schedule Schedule) *World {
	w := &World{storm: s, schedule: schedule, draws: rand.New(rand.NewPCG(schedule.Seed, 0x91a7)), began: time.Now(),
		gate: newGate(), trace: newTrace(), upstreams: map[string]*Upstream{}, fleet: map[Step]int{}}
	w.book, w.weather = newBook(w), newWeather()
	return w
}

// live plays the schedule. It returns when all that it has begun has ended.
func (w *World) live(t *testing.T) {
	var opts []localsqs.Option
	if w.schedule.AsAWS {
		opts = append(opts, localsqs.AsAWS(w.schedule.Seed))
	}
	var err error
	if w.queue, err = localsqs.New(opts...); err != nil {
		t.Fatalf("chassistest: the embedded queue: %v", err)
	}
	w.client, err = sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(w.queue.HTTPClient()))
	if err != nil {
		t.Fatalf("chassistest: %v", err)
	}
	w.storm.play(w)
	w.makeQueues(t)
	w.plan()
	w.run()
	if len(w.findings) == 0 {
		w.judge()
	}
	for _, s := range w.seats {
		if s.p != nil {
			w.kill(s.p)
		}
	}
	w.endings.Wait()
	if err := w.queue.Close(); err != nil {
		t.Errorf("chassistest: close the embedded queue: %v", err)
	}
	time.Sleep(3 * throttle) // Proto.Actor's goroutine that counts dead letters ends by time alone
}

// makeQueues makes the queues of the pools, as an operator would.
func (w *World) makeQueues(t *testing.T) {
	for _, pool := range w.storm.settings().Tasks.EachPool() {
		w.book.pool(pool.TaskPool, pool.DeadPool())
		for _, name := range []string{pool.TaskPool, pool.DeadPool()} {
			attributes := map[string]string{"MessageRetentionPeriod": "1209600"}
			if strings.HasSuffix(name, ".fifo") {
				attributes["FifoQueue"] = "true"
			}
			if _, err := w.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name,
				Attributes: attributes}); err != nil {
				t.Fatalf("chassistest: make the queue %s: %v", name, err)
			}
		}
	}
}

// plan puts what comes at a time into the plans.
func (w *World) plan() {
	for n := 1; n <= w.schedule.Fleet; n++ {
		s := &seat{number: n, steps: map[Step]int{}}
		w.seats = append(w.seats, s)
		w.at(0, func() { w.start(s) })
	}
	for _, s := range w.sends {
		if !slices.Contains(w.schedule.Skip, s.number) {
			w.book.expect(s)
			w.at(s.At, func() { w.send(s) })
		}
	}
	for i := range w.schedule.Faults {
		f := &w.schedule.Faults[i]
		if f.Nth > 0 {
			w.strikes = append(w.strikes, f)
		} else {
			w.at(f.At, func() { w.come(f) })
		}
	}
}

// send puts a task of the play on its queue.
func (w *World) send(s *Sent) {
	out, err := s.message(s.ExecID)
	if err != nil {
		w.accuse(Plays, s.Label, "it cannot be sent: %v", err)
		return
	}
	pool := out.Pool
	if pool == "" {
		pool = w.storm.settings().Tasks.TaskPool
	}
	in := &sqs.SendMessageInput{QueueUrl: aws.String("http://sqs.local/000000000000/" + pool), MessageBody: &out.Body,
		MessageAttributes: out.Attributes, DelaySeconds: int32(out.Delay / time.Second)}
	if out.GroupID != "" {
		in.MessageGroupId = &out.GroupID
	}
	if strings.HasSuffix(pool, ".fifo") {
		dedup := out.DedupID
		if dedup == "" {
			dedup = s.ExecID
		}
		in.MessageDeduplicationId = &dedup
	}
	sent, err := w.client.SendMessage(context.Background(), in)
	if err != nil {
		w.accuse(Plays, s.Label, "it cannot be sent: %v", err)
		return
	}
	s.ExecID = out.ExecID
	w.book.sent(s, pool, *sent.MessageId, out)
	w.note(nil, "sent", []string{s.Label}, "")
}

// run is the world's time: it lets through what waits at the gate, one by one.
func (w *World) run() {
	for len(w.findings) == 0 {
		synctest.Wait()
		w.doom()
		w.reports()
		w.vanished()
		w.takeIn()
		if a := w.choose(); a != nil {
			w.through(a)
			w.look()
			time.Sleep(w.pause(a))
			continue
		}
		now := w.Now()
		if p := w.plans.due(now); p != nil {
			p.do()
			continue
		}
		if w.quiet() {
			return
		}
		if now > w.storm.limit {
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
	return &result{schedule: w.schedule, findings: w.findings, trace: w.trace, sent: len(w.sends), struck: w.struck}
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
func (p *plans) Push(x any)   { *p = append(*p, x.(*planned)) }
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
	r, err := http.NewRequest(http.MethodPost, "http://sqs.local/", bytes.NewReader(q.body))
	if err != nil {
		return &reply{err: err}
	}
	r.Header = q.header.Clone()
	res, err := w.queue.HTTPClient().Transport.RoundTrip(r)
	if err != nil {
		return &reply{err: err}
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close() // it is in memory
	return &reply{status: res.StatusCode, header: res.Header, body: body, err: err}
}
