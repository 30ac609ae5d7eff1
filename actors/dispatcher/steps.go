package dispatcher

import (
	"strings"

	"github.com/sambatech/chassis/task"
)

// The steps of executions: what a message carries of them, what a copy of it carries on,
// and what this process keeps of those that no copy was made of.

// resume gives a the journal of the attempts before it. A task without steps has none.
func (e *execution) resume(a *attempt) {
	if e.journal == nil && len(e.msg.Steps) > 0 {
		e.journal = task.NewJournal(e.msg.Steps)
	}
	if e.journal != nil {
		a.info.Resume(e.journal)
	}
}

// endSteps takes over the journal of a, which is over: none of its steps is kept any
// more, or begins.
func (e *execution) endSteps(a *attempt) {
	if j := a.info.EndSteps(); j != nil {
		e.journal = j
	}
}

// packSteps makes the wire form of a's steps, which takes its time, on the goroutine of
// the handler: the end of the attempt may make a copy.
func (a *attempt) packSteps(out outcome) {
	if j := a.info.Journal(); j != nil && out.kind != outDone {
		j.Wire()
	}
}

// stepsShown is the number of steps that others may see of an execution.
const stepsShown = 16

// steps returns the last steps of e, and their number.
func (e *execution) steps() ([]task.StepState, int) {
	j := e.journal
	if e.cur != nil {
		j = e.cur.info.Journal()
	}
	if j == nil {
		return nil, 0
	}
	return j.List(stepsShown)
}

// stepsSize bounds what the steps of e take in a copy, in bytes: in chassis.more they are
// Base64.
func (e *execution) stepsSize() int {
	if e.journal == nil {
		return len(e.msg.Steps) * 4 / 3
	}
	return len(e.journal.Wire()) * 4 / 3
}

// noteStay logs once that e has steps that fit into no copy. It then waits in place at
// any length, for a copy would leave out steps that are done.
func (d *dispatcher) noteStay(e *execution) {
	if e.oversized {
		return
	}
	e.oversized = true
	d.log.ErrorContext(e.logContext(), "the results of the steps do not fit into a copy of the message: the task "+
		"stays in this process while it waits, and a drain or a crash runs the last steps again. Let the steps "+
		"return where the data is, or send less in the body",
		"steps_bytes", len(e.journal.Wire()), "body_bytes", len(e.msg.Body), "max_bytes", d.maxSize(""),
		"message_id", e.messageID)
}

// fitSteps leaves out the last steps of a copy that is too large: as many as have to be.
func (d *dispatcher) fitSteps(e *execution, size, limit int) (attributes, int) {
	attrs, left := e.msg.Attributes(), 0
	for size > limit && len(e.msg.Steps) > 0 {
		room := len(e.msg.Steps) - (size - limit)
		e.msg.Steps = nil
		if e.journal != nil && room > 0 {
			e.msg.Steps, left = e.journal.WireWithin(room)
		}
		attrs = e.msg.Attributes()
		size = task.Size(e.msg.Body, attrs)
	}
	d.log.ErrorContext(e.logContext(), "the results of the steps do not fit into a copy of the message: the last of "+
		"them will run again", "steps_left_out", left, "steps_bytes", len(e.msg.Steps), "bytes", size,
		"max_bytes", limit, "message_id", e.messageID)
	return attrs, size
}

// journals are those of messages that may come back to this process although no copy
// carries them: the queue refused it, the lease was lost, or the pool is a FIFO one.
// Pure, no actor. The zero value is ready to use.
type journals struct {
	kept  map[string]*task.Journal // by message id
	bytes int
}

// mostJournals bounds what the journals that are kept take in their wire form.
const mostJournals = 16 << 20

func (js *journals) keep(messageID string, j *task.Journal) {
	if j == nil {
		return
	}
	js.take(messageID)
	size := len(j.Wire())
	if size == 0 || size > mostJournals {
		return
	}
	if js.bytes += size; js.bytes > mostJournals || len(js.kept) >= mostRemembered {
		clear(js.kept)
		js.bytes = size
	}
	if js.kept == nil {
		js.kept = map[string]*task.Journal{}
	}
	js.kept[strings.Clone(messageID)] = j
}

// take returns the journal of a message, once, or nil.
func (js *journals) take(messageID string) *task.Journal {
	j := js.kept[messageID]
	if j != nil {
		delete(js.kept, messageID)
		js.bytes -= len(j.Wire())
	}
	return j
}
