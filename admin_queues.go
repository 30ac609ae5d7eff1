package chassis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/admin"
)

// The roles of a queue on the live page.
const (
	roleTasks = "tasks"
	roleDead  = "dead"
)

const (
	censusEvery   = 5 * time.Second // what the numbers may be old, for each look is a request
	censusTimeout = 5 * time.Second
	censusWait    = 20 * time.Millisecond // for new numbers, where there are old ones
)

// census keeps the numbers of the queues, for all who ask.
type census struct {
	*background
	sys *System

	mu    sync.Mutex // guards what follows
	at    time.Time
	last  []admin.Queue
	under chan struct{} // closed when the look under way ends; nil if none is
	urls  map[string]string
}

// Queues implements admin.Queues: the last numbers, and new ones if those are old
// and the queue answers soon. The first time it waits as long as ctx allows.
func (c *census) Queues(ctx context.Context) []admin.Queue {
	c.mu.Lock()
	if c.sys.pool() == "" || c.ctx.Err() != nil || time.Since(c.at) < censusEvery {
		defer c.mu.Unlock()
		return slices.Clone(c.last)
	}
	if c.under == nil {
		c.under = make(chan struct{})
		c.work.Go(func() { c.look(c.under) })
	}
	under := c.under
	if !c.at.IsZero() { // a queue that is slow, or full, holds up no page
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, censusWait)
		defer cancel()
	}
	c.mu.Unlock()
	select {
	case <-under:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.last)
}

func (c *census) look(done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(c.ctx, censusTimeout)
	defer cancel()
	var list []admin.Queue
	for _, l := range c.sys.tasks.lanes {
		list = append(list, c.count(ctx, l.pool(), roleTasks), c.count(ctx, l.deadPool(), roleDead))
	}
	c.ages(list)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.last, c.under = time.Now(), list, nil
}

func (c *census) count(ctx context.Context, name, role string) admin.Queue {
	q := admin.Queue{Name: name, Role: role, At: time.Now().UTC()}
	url, err := c.url(ctx, name)
	if err == nil {
		err = c.attributes(ctx, url, &q)
	}
	var gone *types.QueueDoesNotExist
	switch {
	case err == nil:
	case errors.Is(err, poller.ErrNoQueue), errors.As(err, &gone):
		q.Missing = true
		c.keep(name, "")
	default:
		q.Error = err.Error()
	}
	return q
}

func (c *census) attributes(ctx context.Context, url string, q *admin.Queue) error {
	visible, inFlight, delayed := types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	out, err := c.sys.queue.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url,
		AttributeNames: []types.QueueAttributeName{visible, inFlight, delayed}})
	if err != nil {
		return err
	}
	for name, into := range map[types.QueueAttributeName]*int{visible: &q.Visible, inFlight: &q.InFlight, delayed: &q.Delayed} {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return fmt.Errorf("the queue's attribute %s is %q: want a number", name, out.Attributes[string(name)])
		}
		*into = n
	}
	return nil
}

// ages adds what the embedded queue tells beyond SQS.
func (c *census) ages(list []admin.Queue) {
	if c.sys.queue.Server == nil {
		return
	}
	for _, s := range c.sys.queue.Server.Stats().Queues {
		for i := range list {
			if age := s.OldestAge.Seconds(); list[i].Name == s.Name {
				list[i].OldestAge = &age
			}
		}
	}
}

func (c *census) url(ctx context.Context, name string) (string, error) {
	c.mu.Lock()
	url := c.urls[name]
	c.mu.Unlock()
	if url != "" {
		return url, nil
	}
	url, err := poller.EnsureQueue(ctx, c.sys.queue.Client, name, poller.EnsureOptions{})
	if err == nil {
		c.keep(name, url)
	}
	return url, err
}

func (c *census) keep(name, url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.urls == nil {
		c.urls = map[string]string{}
	}
	c.urls[name] = url
}
