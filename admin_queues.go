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
	"github.com/sambatech/chassis/settings"
)

// The roles of a queue on the live page.
const (
	roleTasks = "tasks"
	roleDead  = "dead"
)

const (
	censusEvery   = 5 * time.Second // what the numbers may be old, for each look is a request
	censusTimeout = 5 * time.Second
)

// census keeps the numbers of the queues, for all who ask.
type census struct {
	*life
	sys *System

	mu    sync.Mutex // guards what follows
	at    time.Time
	last  []admin.Queue
	under chan struct{} // closed when the look under way ends; nil if none is
	urls  map[string]string
}

// Queues implements admin.Queues: the last numbers, new ones if those are old
// and ctx allows to wait.
func (c *census) Queues(ctx context.Context) []admin.Queue {
	c.mu.Lock()
	if c.sys.pool() == "" || c.ctx.Err() != nil || time.Since(c.at) < censusEvery {
		defer c.mu.Unlock()
		return c.last
	}
	if c.under == nil {
		c.under = make(chan struct{})
		c.work.Go(func() { c.look(c.under) })
	}
	under := c.under
	c.mu.Unlock()
	select {
	case <-under:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *census) look(done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(c.ctx, censusTimeout)
	defer cancel()
	list := []admin.Queue{c.count(ctx, c.sys.pool(), roleTasks), c.count(ctx, c.sys.deadPool(), roleDead)}
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
	out, err := c.sys.queue.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url,
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
	if c.sys.queue.local == nil {
		return
	}
	for _, s := range c.sys.queue.local.Stats().Queues {
		for i := range list {
			if age := s.OldestAge.Seconds(); list[i].Name == s.Name && age > 0 {
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
	url, err := poller.EnsureQueue(ctx, c.sys.queue.client, name, poller.EnsureOptions{})
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

// deadDesk shows and settles the dead letters. A look takes them from the queue
// for a moment, so there is one at a time: two would each see a part.
type deadDesk struct {
	sys *System
	one chan struct{}
}

// shownBody is how much of a body is shown, in bytes.
const shownBody = 16 << 10

// List implements admin.DeadLetters.
func (d *deadDesk) List(ctx context.Context, limit int) (list []admin.DeadLetter, more bool, err error) {
	err = d.each(ctx, func(l *DeadLetter) (bool, error) {
		if len(list) == limit {
			more = true
			return false, nil
		}
		list = append(list, letter(l))
		return true, nil
	})
	return list, more, err
}

// SendBack implements admin.DeadLetters.
func (d *deadDesk) SendBack(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*DeadLetter).SendBack)
}

// Delete implements admin.DeadLetters.
func (d *deadDesk) Delete(ctx context.Context, ids []string) ([]string, error) {
	return d.settle(ctx, ids, (*DeadLetter).Delete)
}

func (d *deadDesk) settle(ctx context.Context, ids []string, how func(*DeadLetter, context.Context) error) (done []string, err error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	err = d.each(ctx, func(l *DeadLetter) (bool, error) {
		if !wanted[l.MessageID] {
			return true, nil
		}
		delete(wanted, l.MessageID)
		if err := how(l, ctx); err != nil {
			return false, err
		}
		done = append(done, l.MessageID)
		return len(wanted) > 0, nil
	})
	return done, err
}

func (d *deadDesk) each(ctx context.Context, f func(*DeadLetter) (bool, error)) error {
	select {
	case d.one <- struct{}{}:
		defer func() { <-d.one }()
	case <-ctx.Done():
		return fmt.Errorf("the dead letters are being looked through: %w", context.Cause(ctx))
	}
	for l, err := range d.sys.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		if more, err := f(l); err != nil || !more {
			return err
		}
	}
	return nil
}

func letter(l *DeadLetter) admin.DeadLetter {
	a := admin.DeadLetter{ID: l.MessageID, Task: l.Name, ExecID: l.ExecID, JobID: l.JobID, JobName: l.JobName, Pool: l.Pool,
		Reason: l.Reason, LastError: l.LastError, Failures: l.Failures, Sent: l.Sent, Body: l.Body}
	if len(a.Body) > shownBody {
		a.Body, a.Cut = a.Body[:shownBody], true
	}
	if l.Defects != nil {
		a.Defects = l.Defects.Error()
	}
	return a
}

// origins tells each setting's value and where it came from.
type origins struct {
	sys  *System
	list []admin.Setting // made at the start, when the sources are what they were for New
}

// Settings implements admin.Explained.
func (o *origins) Settings() []admin.Setting { return slices.Clone(o.list) }

// find puts a value down to a source if that gives this very value, to the
// defaults if it is one of them, else to the program.
func (o *origins) find() {
	now, err := settings.LayoutOf(o.sys.settings)
	plain, err2 := settings.LayoutOf(DefaultSettings())
	if err := errors.Join(err, err2); err != nil {
		o.sys.Logger("admin").Error("the settings cannot be explained", "error", err)
		return
	}
	sources, _ := plain.Explain(append(Sources(), settings.Shared())...) // what is wrong in them New has told
	from := map[string]settings.Entry{}
	for _, e := range sources {
		from[e.Path] = e
	}
	inForce, _ := now.Explain()
	for _, e := range inForce {
		s := admin.Setting{Key: e.Path, Value: e.Value, From: "the program", Doc: e.Doc, Secret: e.Secret}
		switch given, ok := from[e.Path]; {
		case ok && given.Value == e.Value && !given.Default:
			s.From = given.Source.String()
		case ok && given.Value == e.Value:
			s.From = "default"
		}
		o.list = append(o.list, s)
	}
}
