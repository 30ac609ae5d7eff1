package dispatcher

import (
	"maps"
	"runtime/debug"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// What follows an execution that has ended for good: see task.Follow.

// followers returns the messages that follow e, which was given up for a reason, or is done
// if that is empty.
func (d *dispatcher) followers(e *execution, reason string, info *task.Info) (outs []poller.Outgoing) {
	if d.follow == nil && e.msg.Reply == "" {
		return nil
	}
	var answer *task.Outgoing
	defer func() {
		if v := recover(); v != nil {
			outs = nil
			d.log.ErrorContext(e.logContext(), "what follows the execution cannot be said: nothing is sent for it",
				"error", &task.PanicError{Value: v}, "stack", string(debug.Stack()))
		}
		if answer != nil {
			outs = append(outs, *answer)
		}
	}()
	end := task.Ending{Message: e.msg, Pool: d.pool, Reason: reason}
	if info != nil {
		end.Result = info.Result()
	}
	if e.msg.Reply != "" {
		if answer = task.Answers(end); answer != nil && d.answered != nil {
			d.answered(answer.Pool)
		}
	}
	if d.follow == nil {
		return nil
	}
	return d.follow(end)
}

// finish deletes a message that is done, after what follows it was sent.
func (d *dispatcher) finish(e *execution, info *task.Info) {
	e.fate = ended
	e.next = d.followers(e, "", info)
	d.settle(e, &poller.Settle{Lease: e.lease, Send: e.next})
}

// foreign reports whether e is part of a flow that this process knows nothing of. Run
// here, it would end without what follows it.
func (d *dispatcher) foreign(e *execution) bool {
	_, flow := e.msg.Extra[task.AttrFlow]
	return flow && d.noFlows
}

// unfollowed returns attributes without what makes their message part of a flow.
func unfollowed(extra attributes) attributes {
	if _, flow := extra[task.AttrFlow]; !flow {
		return extra
	}
	own := maps.Clone(extra)
	delete(own, task.AttrFlow)
	return own
}
