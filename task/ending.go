package task

import (
	"context"
	"encoding/json"
	"fmt"
)

// MaxResult is the most that a handler may [Return], in bytes of JSON. It travels on the
// messages that follow the execution.
const MaxResult = 64 << 10

// Ending is how an execution ended for good: it is done, or it was given up.
type Ending struct {
	Message Message         // as it came, with what its deliveries wrote on it; its maps must not be changed
	Pool    string          // that it ran in
	Reason  string          // why it was given up, one of the Reason constants; empty if it is done
	Result  json.RawMessage // that its handler returned by [Return]; nil without one
}

// Follow returns the messages that follow an execution that has ended for good, each with
// its pool. They are sent before the execution's own message is deleted, and with its dead
// letter. An execution may end more than once, as it may run more than once: the messages
// must then be the same. It is called on the goroutine of an actor, and must not block.
type Follow func(Ending) []Outgoing

// Return sets the result of the execution that ctx belongs to, for what follows it: see
// package task/flow. It is kept as JSON, at most [MaxResult] bytes. The last one counts,
// and only that of the attempt that succeeds. Outside a task it does nothing.
func Return(ctx context.Context, v any) error {
	info := JobFrom(ctx)
	if info == nil {
		return nil
	}
	body, err := encodeBody(v)
	switch {
	case err != nil:
		return fmt.Errorf("task %q: its result of type %T cannot be JSON: %w", info.Task, v, err)
	case len(body) > MaxResult:
		return fmt.Errorf("task %q: its result has %d bytes of JSON, it may have %d: put the data elsewhere and "+
			"return where it is", info.Task, len(body), MaxResult)
	}
	info.result.Store(&body)
	return nil
}

// Result returns what the attempt has set by [Return], or nil.
func (i *Info) Result() json.RawMessage {
	if r := i.result.Load(); r != nil {
		return json.RawMessage(*r)
	}
	return nil
}
