package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/task"
)

// Client is the typed way to talk to a dispatcher. Every call waits for the
// answer until ctx ends; one to a dispatcher that is gone waits until then, so
// give ctx a limit. Safe from any goroutine.
type Client struct {
	root *actor.RootContext
	pid  *actor.PID
}

// NewClient returns a client of the dispatcher pid.
func NewClient(system *actor.ActorSystem, pid *actor.PID) *Client {
	return &Client{root: system.Root, pid: pid}
}

func ask[R any](ctx context.Context, c *Client, what string, message any, reply <-chan *R) (*R, error) {
	c.root.Send(c.pid, message)
	select {
	case r := <-reply:
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("dispatcher %s: no answer to %s: %w", c.pid.Id, what, context.Cause(ctx))
	}
}

// Register makes a task known by its handler.
func (c *Client) Register(ctx context.Context, spec task.Spec, h task.RawHandler) (*Registered, error) {
	reply := make(chan *Registered, 1)
	return registered(ask(ctx, c, "Register", &Register{Spec: spec, Handler: h, reply: reply}, reply))
}

// RegisterProps makes a task known by the props of its actor.
func (c *Client) RegisterProps(ctx context.Context, spec task.Spec, props *actor.Props) (*Registered, error) {
	reply := make(chan *Registered, 1)
	return registered(ask(ctx, c, "Register", &Register{Spec: spec, Props: props, reply: reply}, reply))
}

func registered(r *Registered, err error) (*Registered, error) {
	if err == nil {
		err = r.Err
	}
	return r, err
}

func (c *Client) control(ctx context.Context, what string, message any, reply <-chan *Controlled) (int, error) {
	r, err := ask(ctx, c, what, message, reply)
	if err != nil {
		return 0, err
	}
	return r.Found, r.Err
}

// Pause stops taking tasks, of one name or of the pool if it is empty.
func (c *Client) Pause(ctx context.Context, name string) error {
	reply := make(chan *Controlled, 1)
	_, err := c.control(ctx, "Pause", &Pause{Task: name, reply: reply}, reply)
	return err
}

// Resume ends a Pause of the same name.
func (c *Client) Resume(ctx context.Context, name string) error {
	reply := make(chan *Controlled, 1)
	_, err := c.control(ctx, "Resume", &Resume{Task: name, reply: reply}, reply)
	return err
}

// CancelExecution ends the executions of execID for good and returns how many
// there were.
func (c *Client) CancelExecution(ctx context.Context, execID, reason string) (int, error) {
	reply := make(chan *Controlled, 1)
	return c.control(ctx, "CancelExecution", &CancelExecution{ExecID: execID, Reason: reason, reply: reply}, reply)
}

// SnoozeExecution ends the attempts of execID and runs them again after d; it
// returns how many there were.
func (c *Client) SnoozeExecution(ctx context.Context, execID string, d time.Duration) (int, error) {
	reply := make(chan *Controlled, 1)
	return c.control(ctx, "SnoozeExecution", &SnoozeExecution{ExecID: execID, For: d, reply: reply}, reply)
}

// Inspect lists executions: see the message.
func (c *Client) Inspect(ctx context.Context, execID string, limit int) (*Executions, error) {
	reply := make(chan *Executions, 1)
	return ask(ctx, c, "Inspect", &Inspect{ExecID: execID, Limit: limit, reply: reply}, reply)
}

// Stats asks the actor for its numbers; [Monitor.Stats] needs no message.
func (c *Client) Stats(ctx context.Context) (*Stats, error) {
	reply := make(chan *Stats, 1)
	return ask(ctx, c, "GetStats", &GetStats{reply: reply}, reply)
}

// Drain stops the dispatcher for good and returns when everything is settled.
// See the message for the deadline.
func (c *Client) Drain(ctx context.Context, deadline time.Time) (*Drained, error) {
	reply := make(chan *Drained, 1)
	return ask(ctx, c, "Drain", &Drain{Deadline: deadline, reply: reply}, reply)
}
