package tasks_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

var (
	years = flag.Float64("years", 0, "simulated years that TestAYearOfAFleet plays, at least; 0: one with CHASSIS_SCALE=full, else a quarter")
	seed  = flag.Uint64("seed", 1, "of the first queue of TestAYearOfAFleet")
)

const aDay = 24 * time.Hour

// TestAYearOfAFleet: three processes work on a queue as some operator may have
// made it, are killed and stopped, are away for days, and lose one answer in fifty.
// Every task ends by a success, by its on_fail task or by one dead letter; none
// vanishes, and none that never ran is dead. Queue after queue is played until the
// time is over.
func TestAYearOfAFleet(t *testing.T) {
	var lasted time.Duration
	span := *years
	switch {
	case span > 0:
	case os.Getenv("CHASSIS_SCALE") == "full":
		span = 1
	default:
		span = 0.25
	}
	t.Logf("%-4s %-5s %9s %8s %6s %5s | %5s %7s %5s %5s %6s %6s | %5s %5s %4s %4s %6s %5s", "seed", "kind", "retention", "bytes", "delay", "max", "days", "outages", "kills", "lost", "waits", "runs",
		"tasks", "done", "fail", "dead", "too_late", "gone")
	for n := *seed; lasted < time.Duration(span*365*float64(aDay)); n++ {
		synctest.Test(t, func(t *testing.T) {
			y := newWorld(t, n)
			y.play()
			lasted += y.lasted
			t.Log(y)
		})
		if t.Failed() {
			t.Fatalf("again with -seed %d", n)
		}
	}
	t.Logf("%.0f days in all", lasted.Hours()/24)
}

// world is a queue, its fleet, and what became of the tasks.
type world struct {
	t    *testing.T
	rng  *rand.Rand // the story's
	dice *rand.Rand // the wire's; under mu
	n    uint64

	fifo        bool
	retention   time.Duration
	bytes       int
	delay       time.Duration
	maxReceives int

	q       *localsqs.Server
	client  *sqs.Client
	sender  *chassis.System
	fleet   []*process
	endings sync.WaitGroup // of processes

	mu             sync.Mutex
	tasks          []*fate
	runs           int
	lost           int
	lasted         time.Duration
	longest        time.Duration // outage
	outages, kills int
}

// fate is one task: what it is to do, and what became of it.
type fate struct {
	ends     string // succeed, fail, apologise, cancel
	failures int    // before it succeeds
	snoozes  int
	wait     time.Duration // after each of them
	takes    time.Duration
	due      time.Time
	id       string

	begun, done, apologised, dead, late int
	early                               time.Duration
}

func newWorld(t *testing.T, n uint64) *world {
	w := &world{t: t, n: n, rng: rand.New(rand.NewPCG(n, 7)), dice: rand.New(rand.NewPCG(n, 11))}
	pick := func(list ...time.Duration) time.Duration { return list[w.rng.IntN(len(list))] }
	w.fifo = w.rng.IntN(4) == 0
	w.retention = pick(time.Hour, 6*time.Hour, aDay, 4*aDay, 14*aDay, 14*aDay, 14*aDay)
	w.delay = pick(0, 0, 30*time.Second)
	w.bytes = []int{256 << 10, 1 << 20}[w.rng.IntN(2)]
	if w.rng.IntN(3) == 0 {
		w.maxReceives = 8 + w.rng.IntN(20)
		if w.fifo { // which has no copies
			w.maxReceives += 100
		}
	}
	var err error
	if w.q, err = localsqs.New(); err != nil {
		t.Fatal(err)
	}
	if w.client, err = sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(w.q.HTTPClient())); err != nil {
		t.Fatal(err)
	}
	w.queue("operators"+w.suffix(), nil)
	attributes := map[string]string{
		"MessageRetentionPeriod": strconv.Itoa(int(w.retention.Seconds())), "MaximumMessageSize": strconv.Itoa(w.bytes),
		"DelaySeconds": strconv.Itoa(int(w.delay.Seconds())),
	}
	if w.maxReceives > 0 {
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:operators%s","maxReceiveCount":%d}`, w.suffix(), w.maxReceives)
	}
	w.queue(w.pool(), attributes)
	w.queue(strings.TrimSuffix(w.pool(), ".fifo")+"_dead"+w.suffix(), map[string]string{"MessageRetentionPeriod": "1209600"})
	return w
}

func (w *world) suffix() string {
	if w.fifo {
		return ".fifo"
	}
	return ""
}

func (w *world) pool() string { return "year" + w.suffix() }

func (w *world) queue(name string, attributes map[string]string) {
	if w.fifo {
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes["FifoQueue"] = "true"
	}
	if _, err := w.client.CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes}); err != nil {
		w.t.Fatal(err)
	}
}

// process is one of the fleet, and the network between it and the queue.
type process struct {
	w    *world
	sys  *chassis.System
	next *http.Client
	ctx  context.Context
	die  context.CancelFunc
	calm bool // loses nothing: the sender
}

var errGone = errors.New("the process is gone")

// Do loses one answer in fifty. It loses none of a send: that would send twice,
// as SQS does. An empty long poll lasts for up to two minutes, or the year would
// be one of receives.
func (p *process) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer context.AfterFunc(p.ctx, cancel)()
	if p.ctx.Err() != nil {
		cancel()
		return nil, errGone
	}
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	if op == "ReceiveMessage" {
		for range 4 {
			if p.w.visible() {
				break
			}
			select {
			case <-ctx.Done():
				cancel()
				return nil, ctx.Err()
			case <-time.After(28 * time.Second):
			}
		}
	}
	res, err := p.next.Do(r.WithContext(ctx))
	if err == nil && !p.calm && !strings.HasPrefix(op, "Send") && op != "GetQueueUrl" && p.w.loses() {
		_ = res.Body.Close()
		cancel()
		return nil, errors.New("connection reset by peer")
	}
	context.AfterFunc(r.Context(), cancel)
	return res, err
}

func (w *world) visible() bool {
	for _, s := range w.q.Stats().Queues {
		if s.Name == w.pool() {
			return s.Visible > 0
		}
	}
	return false
}

func (w *world) loses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dice.IntN(50) > 0 {
		return false
	}
	w.lost++
	return true
}

func (w *world) process(calm bool) *process {
	p := &process{w: w, next: w.q.HTTPClient(), calm: calm}
	p.ctx, p.die = context.WithCancel(context.Background())
	client, err := sqsclient.New(w.t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(p))
	if err != nil {
		w.t.Fatal(err)
	}
	settings := chassis.DefaultSettings()
	settings.Log.Level = "critical"
	settings.Tasks.TaskPool, settings.Tasks.Workers, settings.Tasks.MaxWorkers = w.pool(), 4, 4
	settings.Tasks.RetentionPeriod, settings.Tasks.RequestTimeout = w.retention, time.Minute
	settings.Tasks.TaskTimeout = 8 * time.Minute // what a receive brings after two minutes is to be worth something
	if p.sys, err = chassis.New("year", chassis.WithSettings(settings), chassis.WithSQS(client), chassis.WithoutDefaultLogger(),
		chassis.WithLogOutput(io.Discard), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))); err != nil {
		w.t.Fatal(err)
	}
	for _, def := range []*task.Definition[kit.Payload]{work, sorry} {
		chassis.Handle(p.sys, def, w.handle)
	}
	return p
}

var (
	work  = task.Define[kit.Payload]("work", task.MaxFailures(4), task.OnFail("sorry"), task.Window(0))
	plain = task.Define[kit.Payload]("plain", task.MaxFailures(4), task.Window(0))
	sorry = task.Define[kit.Payload]("sorry")
)

func (w *world) handle(ctx context.Context, job task.Job[kit.Payload]) error {
	w.mu.Lock()
	f := w.tasks[job.Args.N]
	w.runs++
	if job.Task == "sorry" {
		f.apologised++
		w.mu.Unlock()
		return nil
	}
	if f.begun++; f.begun == 1 && time.Now().Before(f.due) {
		f.early = time.Until(f.due)
	}
	ends, wait := f.ends, f.wait
	switch {
	case f.snoozes > 0:
		f.snoozes--
		ends = "snooze"
	case f.failures > 0:
		f.failures--
		ends = "fail"
	}
	w.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.takes):
	}
	switch ends {
	case "snooze":
		return task.Snooze(wait)
	case "succeed":
		w.mu.Lock()
		f.done++
		w.mu.Unlock()
		return nil
	case "cancel":
		return task.Cancel(kit.ErrBroken)
	}
	return task.RetryAfter(kit.ErrBroken, wait)
}

func (w *world) start() {
	p := w.process(false)
	chassis.Handle(p.sys, plain, w.handle)
	for p.sys.Start(w.t.Context()) != nil { // an answer was lost
		p.die()
		_ = p.sys.Stop(context.Background())
		p = w.process(false)
		chassis.Handle(p.sys, plain, w.handle)
	}
	w.fleet = append(w.fleet, p)
}

// end takes one process away: in order, or without a word.
func (w *world) end(kill bool) {
	p := w.fleet[0]
	w.fleet = w.fleet[1:]
	w.endings.Go(func() {
		if kill {
			p.die()
		}
		_ = p.sys.Stop(context.Background()) // what a killed one says is lost
		p.die()
	})
}

func (w *world) kill() bool {
	if w.rng.IntN(2) == 0 {
		return false
	}
	w.kills++
	return true
}

// draw makes the tasks: waits of up to 40 days on a standard queue; on a FIFO queue
// none that it could not keep.
func (w *world) draw() {
	longest := 40 * aDay
	if w.retention < aDay {
		longest = 2 * aDay // its copies are many
	}
	if w.fifo {
		longest = min(w.retention/16, 2*time.Hour)
	}
	ends := []string{"succeed", "succeed", "succeed", "fail", "cancel"}
	for i := range 24 {
		f := &fate{
			ends: ends[w.rng.IntN(len(ends))], failures: w.rng.IntN(4), snoozes: w.rng.IntN(3), takes: time.Duration(w.rng.Int64N(int64(5 * time.Minute))),
			wait: w.upTo(longest / 8), due: time.Now(),
		}
		opts := []task.Option{}
		if w.rng.IntN(2) == 0 {
			f.due = time.Now().Add(w.upTo(longest)).Truncate(time.Second).Add(time.Second)
			opts = append(opts, task.At(f.due))
			f.wait = w.upTo(time.Hour)
		}
		if w.fifo {
			f.wait, f.takes = w.upTo(longest/8), min(f.takes, w.retention/60)
			opts = append(opts, task.Group(strconv.Itoa(i%6)))
		}
		def := work
		if w.rng.IntN(2) == 0 {
			def = plain
		}
		data := ""
		if w.rng.IntN(4) == 0 {
			data = strings.Repeat("x", w.rng.IntN(w.bytes-4096))
		}
		w.tasks = append(w.tasks, f)
		id, err := chassis.Send(w.t.Context(), w.sender, def, kit.Payload{N: i, Data: data}, opts...)
		if err != nil {
			w.t.Fatal(err)
		}
		f.id = id
	}
}

// upTo draws a time, as often of the order of minutes as of days.
func (w *world) upTo(most time.Duration) time.Duration {
	d := most
	for range w.rng.IntN(4) {
		d /= 12
	}
	return time.Duration(w.rng.Int64N(int64(d) + 1))
}

func (w *world) play() {
	sender := w.process(true)
	w.sender = sender.sys
	chassis.Handle(w.sender, plain, w.handle)
	w.draw()
	began := time.Now()
	for w.open() > 0 && time.Since(began) < 120*aDay {
		for len(w.fleet) < 3 {
			w.start()
		}
		time.Sleep(20*time.Minute + w.upTo(time.Hour))
		w.end(w.kill()) // a crash, or a deployment
		w.start()
		time.Sleep(w.upTo(90 * time.Minute))
		for len(w.fleet) > 0 { // an outage of all of them: days, if the queue keeps messages for longer
			w.end(w.kill())
		}
		most := w.retention / 4
		if w.fifo { // where nothing can be renewed
			most = w.retention / 16
		}
		away := most*2/3 + time.Duration(w.rng.Int64N(int64(most/3)))
		w.outages++
		w.longest = max(w.longest, away)
		time.Sleep(away)
		w.letters()
	}
	for len(w.fleet) < 1 {
		w.start()
	}
	time.Sleep(10 * time.Minute) // what is done twice shows
	w.letters()
	for len(w.fleet) > 0 {
		w.end(false)
	}
	w.endings.Wait()
	_ = w.sender.Stop(context.Background())
	sender.die()
	w.lasted = time.Since(began)
	w.judge()
	if err := w.q.Close(); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Second)
}

// letters takes the dead letters that have come.
func (w *world) letters() {
	name := strings.TrimSuffix(w.pool(), ".fifo") + "_dead" + w.suffix()
	url, err := w.client.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	for {
		out, err := w.client.ReceiveMessage(w.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return
		}
		for _, m := range out.Messages {
			msg, _ := task.Decode(*m.Body, m.MessageAttributes)
			w.mu.Lock()
			for i, f := range w.tasks {
				if f.id != msg.ExecID {
					continue
				}
				f.dead++
				if msg.Reason == task.ReasonTooLate {
					f.late++
				}
				if f.begun == 0 && msg.Reason != task.ReasonTooLate {
					w.t.Errorf("task %d is dead and never ran: %s, %s", i, msg.Reason, msg.LastError)
				}
			}
			w.mu.Unlock()
			if _, err := w.client.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: url.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// open counts the tasks that have not ended yet.
func (w *world) open() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.tasks {
		if f.done+f.apologised+f.dead == 0 {
			n++
		}
	}
	return n
}

func (w *world) judge() {
	for i, f := range w.tasks {
		switch kinds := b(f.done) + b(f.apologised) + b(f.dead); {
		case kinds == 0:
			w.t.Errorf("task %d is gone: %+v", i, *f)
		case kinds > 1 || f.dead > 1:
			w.t.Errorf("task %d ended more than once: %+v", i, *f)
		}
		if f.early > 0 {
			w.t.Errorf("task %d ran %v early", i, f.early)
		}
	}
	for _, s := range w.q.Stats().Queues {
		if strings.HasPrefix(s.Name, "operators") && s.Visible > 0 {
			w.t.Errorf("%d messages are with the operators, by the queue's redrive policy", s.Visible)
		}
	}
}

func b(n int) int { return min(n, 1) }

func (w *world) String() string {
	kind, done, failed, dead, late, gone := "std", 0, 0, 0, 0, 0
	if w.fifo {
		kind = "fifo"
	}
	var waits time.Duration
	for _, f := range w.tasks {
		waits = max(waits, f.wait)
		done, failed, dead, late = done+b(f.done), failed+b(f.apologised), dead+b(f.dead), late+f.late
		gone += 1 - b(f.done+f.apologised+f.dead)
	}
	return fmt.Sprintf("%-4d %-5s %9v %8d %6v %5d | %5.0f %7s %5d %5d %6.0fh %6d | %5d %5d %4d %4d %6d %5d", w.n, kind, w.retention.Hours(), w.bytes, w.delay, w.maxReceives,
		w.lasted.Hours()/24, fmt.Sprintf("%d/%.0fh", w.outages, w.longest.Hours()), w.kills, w.lost, waits.Hours(), w.runs,
		len(w.tasks), done, failed, dead, late, gone)
}
