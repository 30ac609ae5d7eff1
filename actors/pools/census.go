package pools

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
)

// Queue is one queue as it was at At. Counts are approximate, as SQS gives them.
type Queue struct {
	Name      string    `json:"name"`
	Role      string    `json:"role"` // tasks, dead
	Visible   int       `json:"visible"`
	InFlight  int       `json:"in_flight"`
	Delayed   int       `json:"delayed"`
	OldestAge *float64  `json:"oldest_age_seconds,omitempty"` // nil: the queue does not say
	Missing   bool      `json:"missing,omitempty"`            // it does not exist (yet)
	Error     string    `json:"error,omitempty"`
	At        time.Time `json:"at,omitzero"`
}

// The roles of a queue.
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
	pools *Pools

	mu    sync.Mutex // guards what follows
	at    time.Time
	last  []Queue
	under chan struct{} // closed when the look under way ends; nil without one
	urls  map[string]string
}

// Queues returns the numbers of the queues of all pools: the last ones, or new ones
// if those are old and the queue answers soon. The first time it waits as long as
// ctx allows.
func (p *Pools) Queues(ctx context.Context) []Queue { return p.census.queues(ctx) }

func (c *census) queues(ctx context.Context) []Queue {
	c.mu.Lock()
	if c.pools.main().name() == "" || c.pools.background.ctx.Err() != nil || time.Since(c.at) < censusEvery {
		defer c.mu.Unlock()
		return slices.Clone(c.last)
	}
	if c.under == nil {
		c.under = make(chan struct{})
		c.pools.background.run(c.look)
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

func (c *census) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	var list []Queue
	for _, l := range c.pools.lanes() {
		list = append(list, c.count(ctx, l.name(), roleTasks), c.count(ctx, l.settings.DeadPool(), roleDead))
	}
	c.ages(list)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.under)
	c.at, c.last, c.under = time.Now(), list, nil
}

func (c *census) count(ctx context.Context, name, role string) Queue {
	q := Queue{Name: name, Role: role, At: time.Now().UTC()}
	url, err := c.url(ctx, name)
	if err == nil {
		err = c.pools.count(ctx, url, &q)
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

// count puts the counts of the queue at url into q.
func (p *Pools) count(ctx context.Context, url string, q *Queue) error {
	visible, inFlight, delayed := types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	out, err := p.cfg.Queue.Client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url,
		AttributeNames: []types.QueueAttributeName{visible, inFlight, delayed}})
	if err != nil {
		return err
	}
	for name, into := range map[types.QueueAttributeName]*int{visible: &q.Visible, inFlight: &q.InFlight,
		delayed: &q.Delayed} {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return fmt.Errorf("the queue's attribute %s is %q: want a number", name, out.Attributes[string(name)])
		}
		*into = n
	}
	return nil
}

// ages adds the age of the oldest message, which only the embedded queue says.
func (c *census) ages(list []Queue) {
	server := c.pools.cfg.Queue.Server
	if server == nil {
		return
	}
	for _, s := range server.Stats().Queues {
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
	url, err := poller.EnsureQueue(ctx, c.pools.cfg.Queue.Client, name, poller.EnsureOptions{})
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
