package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// steps are how many are timed for one figure.
const steps = 5000

// timed is the time of one of n steps.
func timed(n int, step func(i int) error) (float64, error) {
	begun := time.Now()
	for i := range n {
		if err := step(i); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begun)) / float64(n), nil
}

func embedded() (*localsqs.Server, *sqs.Client, error) {
	srv, err := localsqs.New()
	if err != nil {
		return nil, nil, err
	}
	client, err := sqsclient.New(context.Background(), sqsclient.Settings{}, sqsclient.WithHTTPClient(srv.HTTPClient()))
	return srv, client, err
}

func ptr[T any](v T) *T { return &v }

func newQueue(client *sqs.Client, name string) (*string, error) {
	made, err := client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		return nil, err
	}
	return made.QueueUrl, nil
}

func queueDepth(n int) (float64, error) {
	srv, client, err := embedded()
	if err != nil {
		return 0, err
	}
	defer srv.Close()
	ctx := context.Background()
	url, err := newQueue(client, "deep")
	if err != nil {
		return 0, err
	}
	for sent := 0; sent < n; {
		entries := make([]types.SendMessageBatchRequestEntry, min(10, n-sent))
		for i := range entries {
			entries[i] = types.SendMessageBatchRequestEntry{Id: ptr(strconv.Itoa(i)), MessageBody: ptr("a message like any other")}
		}
		if _, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil {
			return 0, err
		}
		sent += len(entries)
	}
	return timed(steps, func(int) error {
		if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: ptr("a message like any other")}); err != nil {
			return err
		}
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url})
		if err != nil {
			return err
		}
		_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle})
		return err
	})
}

func manyQueues(n int) (float64, error) {
	srv, client, err := embedded()
	if err != nil {
		return 0, err
	}
	defer srv.Close()
	urls := make([]*string, n)
	for i := range urls {
		if urls[i], err = newQueue(client, "queue-"+strconv.Itoa(i)); err != nil {
			return 0, err
		}
	}
	return timed(steps, func(i int) error {
		_, err := client.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: urls[i%n], MessageBody: ptr("a message like any other")})
		return err
	})
}

// grownBreaker has n open paths, as many below each of the first level's as
// a service with many customers has: a transition copies the list of its
// siblings, so one level of 100 000 would take minutes to be made.
func grownBreaker(n, siblings int, measure func(b *breaker.Breaker) (float64, error)) (float64, error) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer system.Shutdown()
	b, err := breaker.Spawn(system, "http://grown.internal", breaker.Settings{MaxEntries: 200_000, OpenTimeout: time.Hour, OpenMax: time.Hour})
	if err != nil {
		return 0, err
	}
	defer func() { _ = b.Stop(context.Background()) }()
	for i := range n {
		if err := b.ForceOpen(fmt.Sprintf("/open/%d/%d", i/siblings, i%siblings), 0); err != nil {
			return 0, err
		}
	}
	return measure(b)
}

func breakerTree(n int) (float64, error) {
	return grownBreaker(n, 300, func(b *breaker.Breaker) (float64, error) {
		return timed(200*steps, func(int) error {
			return b.Do(context.Background(), "/v1/other/path/here", func(context.Context) error { return nil })
		})
	})
}

func breakerTransition(n int) (float64, error) {
	return grownBreaker(n, n, func(b *breaker.Breaker) (float64, error) {
		return timed(steps, func(i int) error {
			if i%2 == 0 {
				return b.ForceOpen("/open/0/one-more", 0)
			}
			return b.Reset("/open/0/one-more")
		})
	})
}

type args struct{ Block bool }

// withBlocked runs a system with n executions blocked in their handlers.
func withBlocked(n int, measure func(sys *chassis.System, ran *atomic.Int64) (float64, error)) (float64, error) {
	s := chassis.DefaultSettings()
	s.Tasks.Workers, s.Tasks.MaxWorkers, s.Tasks.TaskTimeout = n+200, n+200, time.Hour
	s.Tasks.DrainTimeout, s.Log.Level = time.Second, "error"
	sys, err := chassis.New("growth", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard))
	if err != nil {
		return 0, err
	}
	defer func() { _ = sys.Stop(context.Background()) }()
	var ran atomic.Int64
	release, blocked := make(chan struct{}), atomic.Int64{}
	defer close(release)
	work := task.Define[args]("work")
	all := make(chan struct{})
	chassis.Handle(sys, work, func(_ context.Context, job task.Job[args]) error {
		if !job.Args.Block {
			ran.Add(1)
			return nil
		}
		if blocked.Add(1) == int64(n) {
			close(all)
		}
		<-release
		return nil
	})
	if err := sys.Start(context.Background()); err != nil {
		return 0, err
	}
	memory = live()
	if err := send(sys, n, true); err != nil {
		return 0, err
	}
	<-all
	return measure(sys, &ran)
}

// memory is that before the blocked executions of the last withBlocked, in bytes.
var memory float64

// live returns the bytes of objects and stacks that are in use. Free parts of the heap that
// an earlier curve has left do not count.
func live() float64 {
	runtime.GC()
	runtime.GC() // the first one may have been under way already
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

func send(sys *chassis.System, n int, block bool) error {
	for sent := 0; sent < n; {
		tasks := make([]chassis.Task, min(1000, n-sent))
		for i := range tasks {
			tasks[i] = chassis.Task{Name: "work", Args: args{Block: block}}
		}
		if _, err := sys.SendMany(context.Background(), tasks); err != nil {
			return err
		}
		sent += len(tasks)
	}
	return nil
}

func besideBlocked(n int) (float64, error) {
	return withBlocked(n, func(sys *chassis.System, ran *atomic.Int64) (float64, error) {
		const tasks = 20_000
		begun := time.Now()
		if err := send(sys, tasks, false); err != nil {
			return 0, err
		}
		for ran.Load() < tasks {
			if time.Since(begun) > 2*time.Minute {
				return 0, fmt.Errorf("%d of %d tasks ran in two minutes", ran.Load(), tasks)
			}
			time.Sleep(time.Millisecond)
		}
		return float64(time.Since(begun)) / tasks, nil
	})
}

func blockedMemory(n int) (float64, error) {
	return withBlocked(n, func(*chassis.System, *atomic.Int64) (float64, error) {
		return max(live()-memory, 1) / float64(n), nil
	})
}

func producers(n int) (float64, error) {
	l, err := logger.New("growth", logger.Settings{}, logger.WithOutput(io.Discard))
	if err != nil {
		return 0, err
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(l.SystemLogger()))
	defer system.Shutdown()
	if _, err := l.Start(system); err != nil {
		return 0, err
	}
	defer func() { _ = l.Stop(context.Background()) }()
	log := l.Slog()
	const records = 400_000
	var wg sync.WaitGroup
	begun := time.Now()
	for range n {
		wg.Go(func() {
			for i := range records / n {
				log.Info("a record like any other", "number", i, "of", n)
			}
		})
	}
	wg.Wait()
	return float64(time.Since(begun)) / records, nil
}
