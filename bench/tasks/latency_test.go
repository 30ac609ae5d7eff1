package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/hibiken/asynq"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// latencyWorkers are enough for the busy load: 1 000 tasks a second of 5 ms.
const latencyWorkers = 64

// latencyPeers are the ways from a send to a handler. Each starts its workers, which call
// handle, and returns its send. A nil send: what it needs is not installed.
var latencyPeers = []struct {
	name  string
	start func(b *testing.B, handle func(id int)) (send func(id int) error)
}{{"ours", latencyOurs}, {"hand-written", latencyHand}, {"asynq", latencyAsynq}, {"river", latencyRiver}}

// BenchmarkLatency is the time from Send, of one task after the other, to the first line of
// its handler: at 1, 100 and 1 000 tasks a second, in a process that does nothing else, and
// in one that does 1 000 tasks of 5 ms a second. ours and hand-written go over the embedded
// queue in process, hand-written by a loop of the AWS SDK (see handWritten) and its
// SendMessage. All stand ready from the beginning, and take turns. It takes no notice of
// -benchtime: use 1x. At 1 a second, p99 and p99.9 are the slowest of a few.
func BenchmarkLatency(b *testing.B) {
	var all []*latency
	for _, p := range latencyPeers {
		l := &latency{sent: make([]time.Time, latencyTasks), took: make([]atomic.Int64, latencyTasks)}
		if l.send = p.start(b, l.handle); l.send == nil {
			b.Logf("%s is absent: its server is not installed", p.name)
			continue
		}
		l.name = p.name
		for range 20 { // connections, statements, stacks
			l.one()
		}
		all = append(all, l)
	}
	time.Sleep(200 * time.Millisecond)
	for _, busy := range []bool{false, true} {
		for _, rate := range []struct {
			second int
			lasts  time.Duration
		}{{1, 10 * time.Second}, {100, 3 * time.Second}, {1000, 3 * time.Second}} {
			load := "idle"
			if busy {
				load = "busy"
			}
			for _, l := range all {
				b.Run(fmt.Sprintf("%d-%s/%s", rate.second, load, l.name), func(b *testing.B) {
					if busy {
						defer l.busy()()
					}
					l.measure(b, rate.second, rate.lasts)
				})
			}
		}
	}
}

// latencyTasks are more than one run sends; those of the busy load come after the others.
const latencyTasks = 100_000

// latency is one implementation and the times of its tasks, by their ids.
type latency struct {
	name string
	send func(id int) error
	sent []time.Time
	took []atomic.Int64
	next int
	load atomic.Int64
}

func (l *latency) handle(id int) {
	if id >= latencyTasks {
		time.Sleep(5 * time.Millisecond)
		return
	}
	l.took[id].Store(int64(time.Since(l.sent[id])))
}

// one sends the next task. It returns its id.
func (l *latency) one() (id int) {
	id = l.next
	l.next++
	l.sent[id] = time.Now()
	_ = l.send(id) // the task is missed below
	return id
}

// busy sends 1 000 tasks of 5 ms a second until stop.
func (l *latency) busy() (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(4 * time.Millisecond)
		defer t.Stop()
		var sends sync.WaitGroup
		defer sends.Wait()
		for {
			select {
			case <-quit:
				return
			case <-t.C:
				for range 4 {
					sends.Go(func() { _ = l.send(latencyTasks + int(l.load.Add(1))) })
				}
			}
		}
	}()
	time.Sleep(300 * time.Millisecond)
	return func() { close(quit); <-ended; time.Sleep(100 * time.Millisecond) }
}

func (l *latency) measure(b *testing.B, second int, lasts time.Duration) {
	n := int(lasts.Seconds()) * second
	gap := time.Second / time.Duration(second)
	var first int
	var sends sync.WaitGroup
	begun := time.Now()
	first = l.next
	l.next += n
	for i := range n {
		// Not in step with anything that has a period of its own.
		time.Sleep(time.Until(begun.Add(time.Duration(i)*gap + time.Duration(i%7)*gap/13)))
		id := first + i
		l.sent[id] = time.Now()
		sends.Go(func() {
			if err := l.send(id); err != nil {
				b.Error(err)
			}
		})
	}
	sends.Wait()
	times := make([]int64, 0, n)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		times = times[:0]
		for i := range n {
			if took := l.took[first+i].Load(); took != 0 {
				times = append(times, took)
			}
		}
		if len(times) == n || time.Now().After(end) {
			break
		}
	}
	for i := range n { // one that has not begun yet counts with its time so far
		if l.took[first+i].Load() == 0 {
			times = append(times, int64(time.Since(l.sent[first+i])))
		}
	}
	late := 0
	for _, took := range times {
		if time.Duration(took) >= 10*time.Second {
			late++
		}
	}
	b.ReportMetric(float64(late), "over-10s")
	slices.Sort(times)
	for _, q := range []struct {
		unit string
		part float64
	}{{"p50-µs", 0.5}, {"p99-µs", 0.99}, {"p99.9-µs", 0.999}} {
		b.ReportMetric(float64(times[min(int(q.part*float64(n)), n-1)])/1e3, q.unit)
	}
	b.ReportMetric(0, "ns/op")
}

func latencyOurs(b *testing.B, handle func(id int)) func(id int) error {
	sys, err := chassis.New("bench", chassis.WithSettings(settings(latencyWorkers)), chassis.WithoutDefaultLogger())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sys.Stop(context.Background()) })
	chassis.Handle(sys, noop, func(_ context.Context, j task.Job[args]) error { handle(j.Args.ID); return nil })
	if err := sys.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return func(id int) error {
		_, err := chassis.Send(context.Background(), sys, noop, args{ID: id})
		return err
	}
}

func latencyHand(b *testing.B, handle func(id int)) func(id int) error {
	client := sqs.New(sqs.Options{Region: "local", BaseEndpoint: aws.String("http://sqs.local"), Credentials: aws.AnonymousCredentials{},
		HTTPClient: plainBody{embedded(b).HTTPClient()}, DisableMessageChecksumValidation: true})
	made, err := client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String(pool)})
	if err != nil {
		b.Fatal(err)
	}
	url := made.QueueUrl
	ctx, cancel := context.WithCancel(context.Background())
	deletes := make(chan *string, latencyTasks)
	var pollers, handlers, deleters sync.WaitGroup
	for range 4 {
		deleters.Go(func() { deleteAll(ctx, b, client, *url, deletes, new(atomic.Int64), make(chan struct{})) })
		pollers.Go(func() {
			for ctx.Err() == nil {
				out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, MessageAttributeNames: []string{"All"},
				})
				if err != nil {
					continue // cancelled, at the end
				}
				for _, m := range out.Messages {
					handlers.Go(func() {
						var a args
						if err := json.Unmarshal([]byte(*m.Body), &a); err != nil {
							b.Error(err)
						}
						handle(a.ID)
						deletes <- m.ReceiptHandle
					})
				}
			}
		})
	}
	b.Cleanup(func() {
		cancel()
		pollers.Wait()
		handlers.Wait()
		close(deletes)
		deleters.Wait()
	})
	return func(id int) error {
		out, err := noop.Encode(time.Now(), args{ID: id})
		if err != nil {
			return err
		}
		_, err = client.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &out.Body,
			MessageAttributes: out.Attributes})
		return err
	}
}

func latencyAsynq(b *testing.B, handle func(id int)) func(id int) error {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return nil
	}
	addr := "127.0.0.1:" + strconv.Itoa(freePort(b))
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.TempDir())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	redis := asynq.RedisClientOpt{Addr: addr}
	client := asynq.NewClient(redis)
	b.Cleanup(func() { _ = client.Close() })
	until(b, "redis", client.Ping)
	srv := asynq.NewServer(redis, asynq.Config{Concurrency: latencyWorkers, LogLevel: asynq.FatalLevel})
	if err := srv.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		var a args
		if err := json.Unmarshal(t.Payload(), &a); err != nil {
			return err
		}
		handle(a.ID)
		return nil
	})); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(srv.Shutdown)
	return func(id int) error {
		_, err := client.Enqueue(asynq.NewTask("noop", fmt.Appendf(nil, `{"id":%d}`, id)))
		return err
	}
}

type latencyWorker struct {
	river.WorkerDefaults[riverArgs]
	handle func(id int)
}

func (w *latencyWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	w.handle(j.Args.ID)
	return nil
}

func latencyRiver(b *testing.B, handle func(id int)) func(id int) error {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(found) == 0 {
		return nil
	}
	db, ctx := postgres(b), context.Background()
	migrator, err := rivermigrate.New(riverpgxv5.New(db), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		b.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &latencyWorker{handle: handle})
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: latencyWorkers}}, Workers: workers,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := client.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	})
	return func(id int) error {
		_, err := client.Insert(ctx, riverArgs{ID: id}, nil)
		return err
	}
}
