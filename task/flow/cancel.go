package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// Cancelled flows are tags of the flow's queue, as a queue has no other place that all
// processes see. Each process reads them while it runs tasks of flows, at most so often.

const (
	tagPrefix   = "chassis.flow.cancel."
	readEvery   = 10 * time.Second
	readWait    = 3 * time.Second    // of a task, for the first read after a pause
	cancelFor   = 7 * 24 * time.Hour // how long a flow counts as cancelled
	cancelMost  = 30                 // flows; SQS allows 50 tags
	queuesKnown = 16                 // this process works for flows of so many services
)

// cancels is what a process knows of cancelled flows.
type cancels struct {
	mu     sync.Mutex // guards what follows
	queues map[string]*register
	wake   chan string // queues to be read
}

// register is the cancelled flows of one queue.
type register struct {
	read  time.Time     // begin of the last read
	known time.Time     // end of the last read, also of one that failed
	done  chan struct{} // closed at the end of the read under way; nil without one
	tags  map[string]bool
}

func tagOf(id string) string { return tagPrefix + derive(id, "cancel") }

// Cancel ends a flow of this service as far as that can be had: within about ten seconds
// no task of it begins, and no link is sent after one that ends. A member that has not begun
// is deleted without a dead letter. What is done is undone, where it has an [Flow.Undo]. Tasks
// that run go on to their end; task actors are not kept from running. A group counts the
// members that were left out as failed, and what stands behind it does not run.
//
// A flow counts as cancelled for a week, and 30 at the same time: the oldest makes room.
func (f *Flows) Cancel(ctx context.Context, id string) error {
	fail := func(err error) error { return fmt.Errorf("cancel flow %q: %w", id, err) }
	if id == "" {
		return fail(errors.New("its id is empty"))
	}
	url, err := f.address(ctx)
	if err != nil {
		return fail(err)
	}
	client := f.sys.SQS()
	out, err := client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return fail(sqsclient.Explain(client, err))
	}
	if old := outdated(out.Tags, time.Now()); len(old) > 0 {
		if _, err := client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: old}); err != nil {
			return fail(sqsclient.Explain(client, err))
		}
	}
	_, err = client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url,
		Tags: map[string]string{tagOf(id): time.Now().UTC().Format(time.RFC3339)}})
	if err != nil {
		return fail(sqsclient.Explain(client, err))
	}
	f.log.WarnContext(ctx, "a flow is cancelled", "flow", id)
	f.cancels.note(f.queue, tagOf(id))
	return nil
}

// outdated returns the tags of cancelled flows that make room for one more.
func outdated(tags map[string]string, now time.Time) (old []string) {
	var young []string
	for name, at := range tags {
		if !strings.HasPrefix(name, tagPrefix) {
			continue
		}
		if t, err := time.Parse(time.RFC3339, at); err != nil || now.Sub(t) > cancelFor {
			old = append(old, name)
		} else {
			young = append(young, name)
		}
	}
	slices.SortFunc(young, func(a, b string) int { return strings.Compare(tags[a]+a, tags[b]+b) })
	return append(old, young[:max(0, len(young)-cancelMost+1)]...)
}

// cancelled reports whether the flow of p is known to be cancelled.
func (f *Flows) cancelled(p place) bool { return f.cancels.has(p.Queue, p.Flow) }

// around is the middleware that leaves tasks of cancelled flows out.
func (f *Flows) around(next task.RawHandler) task.RawHandler {
	return func(ctx context.Context, job task.Job[json.RawMessage]) error {
		if v, ok := job.Extra[task.AttrFlow]; ok && v.StringValue != nil {
			if p, err := decodePlace(*v.StringValue); err == nil {
				f.cancels.look(ctx, p.Queue)
				if !p.Back && f.cancelled(p) {
					return task.Return(ctx, json.RawMessage(skipped))
				}
			}
		}
		return next(ctx, job)
	}
}

// of returns the register of a queue; nil beyond the number that is kept.
func (c *cancels) of(queue string) *register {
	r := c.queues[queue]
	if r == nil && len(c.queues) < queuesKnown {
		if c.queues == nil {
			c.queues = map[string]*register{}
		}
		r = &register{tags: map[string]bool{}}
		c.queues[queue] = r
	}
	return r
}

func (c *cancels) note(queue, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.of(queue); r != nil {
		r.tags[tag] = true
	}
}

func (c *cancels) has(queue, flow string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.queues[queue]
	return r != nil && len(r.tags) > 0 && r.tags[tagOf(flow)]
}

// look has a queue's tags read, unless that was just done. After a pause, in which this
// process may have missed a cancel, it waits for the read.
func (c *cancels) look(ctx context.Context, queue string) {
	done := c.begin(queue)
	if done == nil {
		return
	}
	limit := time.NewTimer(readWait)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// begin begins a read of a queue's tags if it is time, and returns the end of one to wait
// for, or nil.
func (c *cancels) begin(queue string) (done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of(queue)
	if r == nil {
		return nil
	}
	if r.done == nil && time.Since(r.read) >= readEvery {
		select {
		case c.wake <- queue:
			r.read, r.done = time.Now(), make(chan struct{})
		default: // a later task tries again
		}
	}
	if time.Since(r.known) < 2*readEvery {
		return nil
	}
	return r.done
}

// ended notes the end of a read; tags is nil if it failed.
func (c *cancels) ended(queue string, tags map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of(queue)
	if r == nil {
		return
	}
	if tags != nil {
		r.tags = tags
	}
	r.known = time.Now()
	if r.done != nil {
		close(r.done)
		r.done = nil
	}
}

// watch reads tags when it is asked to, until ctx ends.
func (f *Flows) watch(ctx context.Context) {
	for {
		select {
		case queue := <-f.cancels.wake:
			tags, err := f.read(ctx, queue)
			f.cancels.ended(queue, tags)
			if err != nil && ctx.Err() == nil {
				f.log.Warn("which flows are cancelled cannot be read from the tags of their queue",
					"queue", queue, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// read reads the tags of one queue.
func (f *Flows) read(ctx context.Context, queue string) (tags map[string]bool, err error) {
	client := f.sys.SQS()
	url, err := poller.EnsureQueue(ctx, client, queue, poller.EnsureOptions{})
	if err != nil {
		return nil, err
	}
	out, err := client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return nil, sqsclient.Explain(client, err)
	}
	tags = map[string]bool{}
	for name := range out.Tags {
		if strings.HasPrefix(name, tagPrefix) {
			tags[name] = true
		}
	}
	return tags, nil
}
