package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// Client is the typed way to talk to a dispatcher, or to those of several pools
// as one. Every call waits for the answers until ctx ends; one to a dispatcher
// that is gone waits until then, so give ctx a limit. Safe from any goroutine.
type Client struct {
	root *actor.RootContext
	pids []*actor.PID
}

// NewClient returns a client of the dispatchers pids, at least one.
func NewClient(system *actor.ActorSystem, pids ...*actor.PID) *Client {
	return &Client{root: actor.NewRootContext(system, nil), pids: pids}
}

// ask asks all and returns their answers in their order.
func ask[R any](ctx context.Context, c *Client, what string, message func(reply chan<- *R) any) ([]*R, error) {
	replies := make([]chan *R, len(c.pids))
	for i, pid := range c.pids {
		replies[i] = make(chan *R, 1)
		c.root.Send(pid, message(replies[i]))
	}
	answers := make([]*R, len(c.pids))
	for i, pid := range c.pids {
		select {
		case answers[i] = <-replies[i]:
		case <-ctx.Done():
			return nil, fmt.Errorf("dispatcher %s: no answer to %s: %w", pid.Id, what, context.Cause(ctx))
		}
	}
	return answers, nil
}

// first is the answer of the only one, or of the first of several.
func first[R any](answers []*R, err error) (*R, error) {
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// Register makes a task known by its handler.
func (c *Client) Register(ctx context.Context, spec task.Spec, h task.RawHandler) (*Registered, error) {
	return registered(ask(ctx, c, "Register", func(reply chan<- *Registered) any {
		return &Register{Spec: spec, Handler: h, reply: reply}
	}))
}

// RegisterProps makes a task known by the props of its actor.
func (c *Client) RegisterProps(ctx context.Context, spec task.Spec, props *actor.Props) (*Registered, error) {
	return registered(ask(ctx, c, "Register", func(reply chan<- *Registered) any {
		return &Register{Spec: spec, Props: props, reply: reply}
	}))
}

func registered(answers []*Registered, err error) (*Registered, error) {
	r, err := first(answers, err) // the same of all
	if err == nil {
		err = r.Err
	}
	return r, err
}

// controlled sums up answers: what one of several knows is known.
func controlled(answers []*Controlled, err error) (int, error) {
	found := 0
	for _, r := range answers {
		found += r.Found
	}
	if err == nil && found == 0 {
		err = answers[0].Err
	}
	return found, err
}

// Pause stops taking tasks, of one name or of the pool if it is empty.
func (c *Client) Pause(ctx context.Context, name string) error {
	_, err := controlled(ask(ctx, c, "Pause",
		func(reply chan<- *Controlled) any { return &Pause{Task: name, reply: reply} }))
	return err
}

// Resume ends a Pause of the same name.
func (c *Client) Resume(ctx context.Context, name string) error {
	_, err := controlled(ask(ctx, c, "Resume",
		func(reply chan<- *Controlled) any { return &Resume{Task: name, reply: reply} }))
	return err
}

// Resize puts other numbers of workers in force. See the message.
func (c *Client) Resize(ctx context.Context, workers, maxWorkers, scaleFactor int) error {
	_, err := controlled(ask(ctx, c, "Resize", func(reply chan<- *Controlled) any {
		return &Resize{Workers: workers, MaxWorkers: maxWorkers, ScaleFactor: scaleFactor, reply: reply}
	}))
	return err
}

// CancelExecution ends the executions of execID for good and returns how many
// there were.
func (c *Client) CancelExecution(ctx context.Context, execID, reason string) (int, error) {
	return controlled(ask(ctx, c, "CancelExecution", func(reply chan<- *Controlled) any {
		return &CancelExecution{ExecID: execID, Reason: reason, reply: reply}
	}))
}

// Cancel gives the dispatchers a [CancelExecution] and returns how many executions it
// found; none is no error.
func (c *Client) Cancel(ctx context.Context, m CancelExecution) (int, error) {
	answers, err := ask(ctx, c, "CancelExecution", func(reply chan<- *Controlled) any {
		own := m
		own.reply = reply
		return &own
	})
	found := 0
	for _, r := range answers {
		found += r.Found
	}
	return found, err
}

// SnoozeExecution ends the attempts of execID and runs them again after d; it
// returns how many there were.
func (c *Client) SnoozeExecution(ctx context.Context, execID string, d time.Duration) (int, error) {
	return controlled(ask(ctx, c, "SnoozeExecution", func(reply chan<- *Controlled) any {
		return &SnoozeExecution{ExecID: execID, For: d, reply: reply}
	}))
}

// Inspect lists executions, pool by pool: see the message. The limit is of all
// together.
func (c *Client) Inspect(ctx context.Context, execID string, limit int) (*Executions, error) {
	answers, err := ask(ctx, c, "Inspect", func(reply chan<- *Executions) any {
		return &Inspect{ExecID: execID, Limit: limit, reply: reply}
	})
	if err != nil {
		return nil, err
	}
	all := answers[0]
	for _, r := range answers[1:] {
		all.Total += r.Total
		all.List = append(all.List, r.List...)
	}
	if limit > 0 && len(all.List) > limit {
		all.List = all.List[:limit]
	}
	return all, nil
}

// Subscribe sends the events of all its dispatchers to the actor to, by credits
// of each dispatcher: see the message.
func (c *Client) Subscribe(ctx context.Context, to *actor.PID, credits int) error {
	return allDone(ask(ctx, c, "Subscribe", func(reply chan<- *Controlled) any {
		return &Subscribe{To: to, Credits: credits, reply: reply}
	}))
}

// Unsubscribe ends a Subscribe.
func (c *Client) Unsubscribe(ctx context.Context, to *actor.PID) error {
	return allDone(ask(ctx, c, "Unsubscribe",
		func(reply chan<- *Controlled) any { return &Unsubscribe{To: to, reply: reply} }))
}

// allDone is the first error of what is asked of all.
func allDone(answers []*Controlled, err error) error {
	for _, r := range answers {
		if err == nil {
			err = r.Err
		}
	}
	return err
}

// Signal sends message to the task actors that run execID at this time, and
// returns how many there are: more than one if the queue has delivered a message
// twice. None is an error: it is not running here, it waits for its next attempt,
// or a function runs it. The sender of the message is nil.
func (c *Client) Signal(ctx context.Context, execID string, message any) (int, error) {
	if execID == "" {
		return 0, errors.New("signal: no exec_id is given: name the execution")
	}
	found, err := c.Inspect(ctx, execID, 0)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range found.List {
		if e.PID != nil {
			c.root.Send(e.PID, message)
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("signal: no task actor runs execution %q here", execID)
	}
	return n, nil
}

// Stats asks the actor for its numbers, of several the first for its own;
// [Monitor.Stats] needs no message.
func (c *Client) Stats(ctx context.Context) (*Stats, error) {
	return first(ask(ctx, c, "GetStats", func(reply chan<- *Stats) any { return &GetStats{reply: reply} }))
}

// Drain stops the dispatcher for good and returns when everything is settled.
// See the message for the deadline.
func (c *Client) Drain(ctx context.Context, deadline time.Time) (*Drained, error) {
	answers, err := ask(ctx, c, "Drain",
		func(reply chan<- *Drained) any { return &Drain{Deadline: deadline, reply: reply} })
	if err != nil {
		return nil, err
	}
	all := answers[0]
	for _, r := range answers[1:] {
		all.Finished, all.GivenBack = all.Finished+r.Finished, all.GivenBack+r.GivenBack
		all.Released, all.Unsettled = all.Released+r.Released, all.Unsettled+r.Unsettled
	}
	return all, nil
}
