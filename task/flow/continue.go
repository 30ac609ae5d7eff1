package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// continued and skipped are results that say that an execution has not ended as others do.
const (
	continued = `"chassis.flow: continued"`
	skipped   = `"chassis.flow: skipped"`
)

// Continue puts a flow in the place of the execution that ctx belongs to: what follows the
// execution in its flow follows the end of this one. So a link can be a batch of members
// that it finds out, and a task outside of any flow can become one. Call it last and
// return its error: the result of the task is that of the flow. A handler that fails after it
// is run again, and sends the tasks again, with the same exec_ids.
func (f *Flows) Continue(ctx context.Context, flow Flow) error {
	fail := func(err error) error { return fmt.Errorf("continue a flow: %w", err) }
	info := task.JobFrom(ctx)
	switch {
	case info == nil:
		return fail(errors.New("its ctx belongs to no task: give it the ctx that the handler was called with"))
	case flow.err != nil:
		return fail(flow.err)
	case len(flow.links) == 0:
		return fail(errors.New("it is empty"))
	}
	p := place{Queue: f.queue, Flow: info.ExecID}
	if v, ok := info.Extra[task.AttrFlow]; ok && v.StringValue != nil {
		var err error
		if p, err = decodePlace(*v.StringValue); err != nil {
			return fail(err)
		}
	}
	if p.Back {
		return fail(errors.New("an undo is not continued"))
	}
	links, err := resolve(flow.links, f.pool)
	if err == nil {
		_, err = f.address(ctx)
	}
	if err != nil {
		return fail(err)
	}
	if p.Own != nil {
		p.Undo, p.Own = append([]link{p.Own.undoOf(info.ExecID, info.Result())}, p.Undo...), nil
	}
	p.Rest = append(links, p.Rest...)
	b := &builder{origin: origin{info.JobID, info.JobName, traceOf(ctx)}, now: time.Now()}
	if err := f.begin(ctx, b, p, info.ExecID, flow); err != nil {
		return fail(err)
	}
	return task.Return(ctx, json.RawMessage(continued))
}
