package chassistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// World is one play of a [Storm]: a fleet of processes on one queue, what is sent to
// it, and what must hold. Its methods are for the play, before anything has begun, but
// for Effect, Crash, Effects, History and Now.
type World struct {
	storm    *storm
	schedule Schedule
	draws    *rand.Rand
	began    time.Time
	gate     *gate
	queue    *localsqs.Server
	client   *sqs.Client // the world's own way to the queue
	sender   sqsclient.SendBatch
	log      stormLog
	trace    *trace

	services   []func(*Process)
	tuning     []func(*chassis.Settings)
	sends      []*Sent
	upstreams  map[string]*Upstream
	always     []check
	eventually []check
	more       []func() bool // what else is left to do

	mu      sync.Mutex
	effects []Effect

	// The world's goroutine alone:
	seats    []*seat
	lives    []*Process // all that there were
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
	over     bool // nothing is judged any more
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
	Step    string        // task.StepKey of the step that it is a part of; empty outside of one
	At      time.Duration // since the beginning
}

// Sent is one task that a play sends. Its fields do not change.
type Sent struct {
	Label  string // as in a timeline: the task's name, # and a number
	ExecID string
	At     time.Duration

	number  int
	window  time.Duration // how much earlier than its time it may run
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
	if window := def.Spec().WhenWindow; window != nil {
		s.window = time.Duration(*window)
	}
	s.message = func(execID string) (*task.Outgoing, error) {
		spec := def.Spec()
		if err := spec.Err(); err != nil {
			return nil, err
		}
		all := []task.Option{task.ExecID(execID), task.ForJob(label, def.Name())}
		if spec.Pool != "" {
			all = append(all, task.Pool(spec.Pool))
		}
		return task.Encode(def.Name(), args, time.Now(), spec.ByTenant(append(all, opts...))...)
	}
	w.sends = append(w.sends, s)
	return s
}

// Service says what each process registers when it starts: its tasks, its breakers. It
// is called for every life of every process.
func (w *World) Service(register func(p *Process)) { w.services = append(w.services, register) }

// Tune changes the settings of all processes of this play, after what the option [Tune] has
// changed. So they may be drawn from the seed, by [World.Rand].
func (w *World) Tune(change func(*chassis.Settings)) { w.tuning = append(w.tuning, change) }

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
// of context.WithoutCancel will do. In a process that has died it does not return to the
// handler; another goroutine, which the handler may wait for, gets an error.
func (w *World) Effect(ctx context.Context, name string, args ...any) error {
	r := runOf(ctx)
	if r == nil {
		panic(fmt.Sprintf("chassistest: Effect %q: its ctx is not a handler's: pass on the one that the handler got",
			name))
	}
	a := &arrival{p: r.p, step: OnEffect, run: r, name: name, note: fmt.Sprint(args...)}
	a.effect = &Effect{Name: name, Args: args, Step: stepKey(ctx, r)}
	switch o, err := w.gate.wait(ctx, a); {
	case err != nil:
		return err
	case o == dead:
		return r.leave()
	}
	return nil
}

// crashBack is after how long a process is started again that [World.Crash] has ended.
const crashBack = 5 * time.Second

// Crash ends the process of a handler at once, as a task does that takes all memory. It
// does not return. The process is started again five seconds later. ctx is the handler's.
func (w *World) Crash(ctx context.Context) {
	r := runOf(ctx)
	if r == nil {
		panic("chassistest: Crash: its ctx is not a handler's: pass on the one that the handler got")
	}
	// The end of the handler's ctx does not save the process.
	a := &arrival{p: r.p, step: OnEffect, run: r, name: "crash", crash: true}
	_, _ = w.gate.wait(context.WithoutCancel(ctx), a)
	runtime.Goexit()
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

// afterwards is how long a play lasts after its processes have ended, with nothing left to do.
const afterwards = time.Hour

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
	w.sender = sqsclient.SendBatchOf(w.client)
	w.storm.play(w)
	w.makeQueues(t)
	w.plan()
	w.run()
	if len(w.findings) == 0 {
		w.judge()
	}
	w.over = true
	for _, s := range w.seats {
		if s.p != nil {
			w.kill(s.p)
		}
	}
	w.endings.Wait()
	if err := w.queue.Close(); err != nil {
		t.Errorf("chassistest: close the embedded queue: %v", err)
	}
	// Some goroutines end by time alone: Proto.Actor's that counts dead letters, and that of an
	// http.Client with a Timeout when a handler dies in the middle of its call.
	time.Sleep(afterwards)
}

// makeQueues makes the queues of the pools, as an operator would. That of ticks is made by the
// processes that have schedules.
func (w *World) makeQueues(t *testing.T) {
	ticks := strings.TrimSuffix(w.settings().Tasks.TaskPool, ".fifo") + ticksSuffix
	w.book.pool(ticks, dispatcher.DeadLetterPool(ticks))
	for _, pool := range w.settings().Tasks.EachPool() {
		w.book.pool(pool.TaskPool, pool.DeadPool())
		for _, name := range []string{pool.DeadPool(), pool.TaskPool} { // a redrive policy wants its target
			attributes := map[string]string{"MessageRetentionPeriod": "1209600"}
			if name == pool.TaskPool {
				maps.Copy(attributes, w.storm.queues)
			}
			if strings.HasSuffix(name, ".fifo") {
				attributes["FifoQueue"] = "true"
			}
			ctx := sqsclient.WithShortcut(t.Context()) // so that the client learns from it
			if _, err := w.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name,
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
		if w.schedule.Sends == nil || slices.Contains(w.schedule.Sends, s.number) {
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
		pool = w.settings().Tasks.TaskPool
	}
	in := types.SendMessageBatchRequestEntry{Id: aws.String("one"), MessageBody: &out.Body,
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
	url := "http://sqs.local/000000000000/" + pool
	sent, err := w.sender(context.Background(),
		&sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{in}})
	if err == nil && len(sent.Failed) > 0 {
		err = errors.New(aws.ToString(sent.Failed[0].Message))
	}
	if err != nil {
		w.accuse(Plays, s.Label, "it cannot be sent: %v", err)
		return
	}
	s.ExecID = out.ExecID
	w.book.sent(s, pool, *sent.Successful[0].MessageId, out)
	w.note(nil, "sent", []string{s.Label}, "")
}
