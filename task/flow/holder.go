package flow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// holder joins groups: the part of a service behind [Flows].
type holder struct {
	flows  *Flows
	url    string
	wait   int32 // of a receive, seconds
	counts counts

	stop context.CancelFunc // ends the receives
	kill context.CancelFunc // cuts the rest short
	work sync.WaitGroup
	done chan struct{}
}

const (
	holdFor   = 30 * time.Second // a message of the flow's queue is hidden from others
	atOnce    = 8                // receives that are worked on in a process
	stopGrace = 10 * time.Second // for those under way at a stop
	pauseMost = 30 * time.Second // after receives that fail
)

// Start implements [parts.Part].
func (h *holder) Start(ctx context.Context, _ *parts.Host) error {
	url, err := h.flows.address(ctx)
	if err != nil {
		return fmt.Errorf("flow: %w", err)
	}
	h.url, h.done = url, make(chan struct{})
	h.wait = int32(h.flows.sys.Pools()[0].Settings().ReceiveWait / time.Second)
	receiving, stop := context.WithCancel(context.Background())
	working, kill := context.WithCancel(context.Background())
	h.stop, h.kill = stop, kill
	go func() {
		defer close(h.done)
		h.run(receiving, working)
		h.work.Wait()
	}()
	return nil
}

// Stop implements [parts.Part]. What is on the queue stays there, for other processes or
// the next start.
func (h *holder) Stop(ctx context.Context) error {
	if h.done == nil {
		return nil
	}
	h.stop()
	defer h.kill()
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		h.kill()
		return fmt.Errorf("flow: the joins of groups were cut short, and go on elsewhere: %w", context.Cause(ctx))
	}
}

// run receives until ctx ends. A receive that is cut by that may have taken messages:
// they show again when their time is over.
func (h *holder) run(ctx, working context.Context) {
	room := make(chan struct{}, atOnce)
	var pause time.Duration
	for ctx.Err() == nil {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		msgs, err := h.receive(ctx)
		if err != nil || len(msgs) == 0 {
			<-room
		}
		switch {
		case err != nil && ctx.Err() == nil:
			pause = min(max(2*pause, time.Second), pauseMost)
			h.flows.log.Warn("the reports of groups cannot be received: the next try comes after a pause",
				"queue", h.flows.queue, "pause", pause, "error", sqsclient.Explain(h.flows.sys.SQS(), err))
			h.sleep(ctx, time.Duration(float64(pause)*(0.5+rand.Float64()/2)))
		case err == nil:
			pause = 0
			if len(msgs) > 0 {
				h.work.Go(func() {
					defer func() { <-room }()
					h.join(working, msgs)
				})
			}
		}
	}
}

func (h *holder) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (h *holder) receive(ctx context.Context) ([]types.Message, error) {
	h.counts.requests.Add(1)
	out, err := h.flows.sys.SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &h.url, MaxNumberOfMessages: batchMost, WaitTimeSeconds: h.wait,
		VisibilityTimeout: int32(holdFor / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId,
			types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// join decides about the messages of one receive, and does it: it sends, and then deletes.
func (h *holder) join(ctx context.Context, msgs []types.Message) {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // the messages show again
			h.flows.log.Error("joining a group panicked", "error", &task.PanicError{Value: v},
				"stack", string(debug.Stack()))
		}
	}()
	var (
		now     = time.Now()
		order   []string
		groups  = map[string][]received{}
		deletes []string
		hides   []hidden
	)
	for _, m := range msgs {
		r, err := read(m)
		if err != nil {
			h.flows.log.Error("a message of the flow's queue is not of a flow: it is deleted", "queue", h.flows.queue,
				"message_id", aws.ToString(m.MessageId), "error", err)
			deletes = append(deletes, aws.ToString(m.ReceiptHandle))
			continue
		}
		key := r.part.messageGroup()
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	for _, key := range order {
		list := groups[key]
		d := decide(list, len(msgs) == batchMost, now)
		if d.hide > 0 {
			h.waits(d, list)
			for _, m := range list {
				hides = append(hides, hidden{m.handle, d.hide})
			}
			continue
		}
		if err := h.send(ctx, d, now); err != nil {
			h.flows.log.Warn("what a group came to cannot be sent: it is tried again", "group", key, "error", err)
			continue
		}
		for _, m := range list {
			deletes = append(deletes, m.handle)
		}
	}
	if err := errors.Join(h.delete(ctx, deletes), h.hide(ctx, hides)); err != nil {
		h.flows.log.Warn("messages of groups could not be settled: they are joined again", "error", err)
	}
}

// send sends what takes the place of messages.
func (h *holder) send(ctx context.Context, d decision, now time.Time) error {
	if d.drop {
		h.flows.log.Error("a group has not ended: what is known of it is dropped", "group", d.union.Group,
			"shard", d.union.Shard, "ended", d.union.ended(shardSize), "age", keep)
		return nil
	}
	b := d.next(h.flows.queue, now)
	if len(b.outs) > 0 {
		h.counts.requests.Add(1)
		if _, err := h.flows.sender.SendMany(ctx, b.outs); err != nil {
			return err
		}
	}
	h.flows.say(b.origin, b.said)
	h.counts.folds.Add(1)
	if d.whole && d.union.Shard == 0 {
		h.counts.joined.Add(1)
	}
	return nil
}

// waits logs a group that has waited for a day, and then less and less often.
func (h *holder) waits(d decision, list []received) {
	since := time.Unix(d.union.Since, 0)
	if c := list[0].count; c%512 != 0 || time.Since(since) < 24*time.Hour {
		return
	}
	h.flows.log.Warn("a group waits for members that have not ended", "group", d.union.Group, "shard", d.union.Shard,
		"ended", d.union.ended(shardSize), "since", since.UTC())
}

// read reads a message of the flow's queue.
func read(m types.Message) (received, error) {
	p, err := decodePartial(aws.ToString(m.Body))
	if err != nil {
		return received{}, err
	}
	group := m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
	if group != p.messageGroup() {
		return received{}, fmt.Errorf("%w: it is of %q, and lies in %q", errPartial, p.messageGroup(), group)
	}
	r := received{part: p, handle: aws.ToString(m.ReceiptHandle)}
	r.count, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	ms, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	r.sent = time.UnixMilli(ms)
	return r, nil
}

// hidden is a message that is to show again after a time.
type hidden struct {
	handle string
	until  time.Duration
}

func (h *holder) delete(ctx context.Context, handles []string) error {
	if len(handles) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(handles))
	for i := range handles {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &handles[i]}
	}
	h.counts.requests.Add(1)
	out, err := h.flows.sys.SQS().DeleteMessageBatch(ctx,
		&sqs.DeleteMessageBatchInput{QueueUrl: &h.url, Entries: entries})
	if err != nil {
		return sqsclient.Explain(h.flows.sys.SQS(), err)
	}
	return refusals(out.Failed)
}

func (h *holder) hide(ctx context.Context, list []hidden) error {
	if len(list) == 0 {
		return nil
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(list))
	for i := range list {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)),
			ReceiptHandle: &list[i].handle, VisibilityTimeout: int32(list[i].until / time.Second)}
	}
	h.counts.requests.Add(1)
	out, err := h.flows.sys.SQS().ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &h.url, Entries: entries})
	if err != nil {
		return sqsclient.Explain(h.flows.sys.SQS(), err)
	}
	return refusals(out.Failed)
}

func refusals(failed []types.BatchResultErrorEntry) error {
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d messages, the first: %s: %s", len(failed), aws.ToString(failed[0].Code),
		aws.ToString(failed[0].Message))
}

// Stats are what the flows of one process have done since its start.
type Stats struct {
	Requests int64 // to the flow's queue to join groups, and sends of what follows them
	Folds    int64 // unions that took the place of messages, whole sets included
	Joined   int64 // groups
}

type counts struct{ requests, folds, joined atomic.Int64 }

func (c *counts) stats() Stats {
	return Stats{Requests: c.requests.Load(), Folds: c.folds.Load(), Joined: c.joined.Load()}
}
