package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// manyWorkers is the time of a task that does nothing, in a pool of n workers.
func manyWorkers(n int) (float64, error) {
	sys, err := quiet(func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = n, n })
	if err != nil {
		return 0, err
	}
	defer func() { _ = sys.Stop(context.Background()) }()
	const tasks = 10_000
	var ran atomic.Int64
	all := make(chan struct{})
	chassis.Handle(sys, task.Define[args]("work"), func(context.Context, task.Job[args]) error {
		if ran.Add(1) == tasks {
			close(all)
		}
		return nil
	})
	if err := sys.Start(context.Background()); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := send(sys, tasks, false); err != nil {
		return 0, err
	}
	select {
	case <-all:
	case <-time.After(2 * time.Minute):
		return 0, fmt.Errorf("%d of %d tasks ran in two minutes", ran.Load(), tasks)
	}
	return float64(time.Since(begun)) / tasks, nil
}

func quiet(change func(*chassis.Settings)) (*chassis.System, error) {
	s := chassis.DefaultSettings()
	s.Log.Level = "error"
	change(&s)
	return chassis.New("growth", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(io.Discard))
}

// manyTenants is the time to send, receive and delete a message on a queue where a message
// of each of n groups waits: they take turns.
func manyTenants(n int) (float64, error) {
	srv, client, err := embedded()
	if err != nil {
		return 0, err
	}
	defer srv.Close()
	ctx := context.Background()
	url, err := newQueue(client, "tenants")
	if err != nil {
		return 0, err
	}
	tenant := func(i int) *string { return ptr("tenant-" + strconv.Itoa(i)) }
	for sent := 0; sent < n; {
		entries := make([]types.SendMessageBatchRequestEntry, min(10, n-sent))
		for i := range entries {
			entries[i] = types.SendMessageBatchRequestEntry{Id: ptr(strconv.Itoa(i)), MessageBody: ptr("a message like any other"),
				MessageGroupId: tenant(sent + i)}
		}
		if _, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil {
			return 0, err
		}
		sent += len(entries)
	}
	return timed(steps, func(i int) error {
		if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: ptr("a message like any other"),
			MessageGroupId: tenant(i % n)}); err != nil {
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

// manySchedules is the time of a schedule until the service has started with n of them.
func manySchedules(n int) (float64, error) {
	sys, err := quiet(func(*chassis.Settings) {})
	if err != nil {
		return 0, err
	}
	defer func() { _ = sys.Stop(context.Background()) }()
	begun := time.Now()
	for i := range n {
		def := task.Define[args]("nightly-" + strconv.Itoa(i))
		chassis.Handle(sys, def, func(context.Context, task.Job[args]) error { return nil })
		chassis.Every(sys, def, args{}, "*/5 * * * *")
	}
	if err := sys.Start(context.Background()); err != nil {
		return 0, err
	}
	return float64(time.Since(begun)) / float64(n), nil
}
