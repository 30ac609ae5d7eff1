package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/task"
)

// builder makes the messages that follow an ending. It is pure: the same ending makes the
// same messages, but for the time in them.
type builder struct {
	origin origin
	now    time.Time
	outs   []task.Outgoing
	said   []line // to be logged
}

// line is something that the log says of a flow.
type line struct {
	failed bool
	text   string
	args   []any
}

func (b *builder) say(failed bool, text string, args ...any) {
	b.said = append(b.said, line{failed, text, args})
}

// advance goes on after the link that p was carried by has ended: id is its exec_id, or the
// id of its group, and value what it has returned.
func (b *builder) advance(p place, id string, ok, group bool, value json.RawMessage) {
	if p.Back {
		if !ok {
			b.say(true, "an undo failed for good: its dead letter is all that is left of it; earlier ones go on")
		}
		b.back(p, id)
		return
	}
	if p.Own != nil && (ok || group) {
		p.Undo = append([]link{p.Own.undoOf(id, value)}, p.Undo...)
	}
	if p.Own = nil; !ok {
		b.fail(p, id)
		return
	}
	if len(p.Rest) == 0 {
		b.end(p, true)
		return
	}
	mark := len(b.outs)
	if err := b.start(p, id, value); err != nil {
		b.outs = b.outs[:mark]
		b.say(true, "the next link of a flow cannot be sent: the flow has failed", "link", name(p.Rest[0]),
			"error", err)
		b.fail(p, id)
	}
}

// undoOf is l as the undo of the link with an id, with a value for its input if it has none
// of its own. Its exec_id comes from the link that it undoes: a flow that fails in two
// places, by a delivery that came twice or after a cancel, has each undo under one exec_id.
func (l link) undoOf(id string, value json.RawMessage) link {
	l.Exec = derive(id, "undo")
	if l.Body == nil {
		l.Body = value
	}
	return l
}

// fail undoes what is done, and ends the chain without success.
func (b *builder) fail(p place, id string) {
	b.say(true, "a flow failed", "not_run", len(p.Rest), "undone", len(p.Undo))
	p.Rest, p.Undo, p.Own, p.Back = p.Undo, nil, nil, true
	b.back(p, id)
}

// back runs the next undo.
func (b *builder) back(p place, id string) {
	for len(p.Rest) > 0 {
		rest := p
		rest.Rest = p.Rest[1:]
		own := p.Rest[0].Exec
		if own == "" { // of a version that did not set it
			own = derive(id, "undo")
		}
		err := b.task(p.Rest[0], rest, own, nil)
		if err == nil {
			return
		}
		b.say(true, "an undo cannot be sent: it is left out", "link", name(p.Rest[0]), "error", err)
		p, id = rest, own
	}
	b.end(p, false)
}

// end ends a chain: it reports to its group, if it is in one.
func (b *builder) end(p place, ok bool) {
	if p.Seat == nil {
		if ok {
			b.say(false, "a flow is done")
		}
		return
	}
	b.outs = append(b.outs, report(p.Queue, *p.Seat, ok))
}

// start sends the first link of p.Rest, with the place behind it.
func (b *builder) start(p place, id string, value json.RawMessage) error {
	l := p.Rest[0]
	p.Rest, p.Own = p.Rest[1:], l.Undo
	if !l.Group {
		return b.task(l, p, derive(id, "next"), value)
	}
	group := derive(id, "group")
	for i, m := range l.Members {
		member := place{Queue: p.Queue, Flow: p.Flow, Seat: &seat{group, i}, Rest: m}
		if err := b.member(member, group, i, value); err != nil {
			return err
		}
	}
	return b.head(p, group, len(l.Members), l.All)
}

// member sends the first link of a member.
func (b *builder) member(p place, group string, i int, value json.RawMessage) error {
	if len(p.Rest) == 0 {
		return fmt.Errorf("member %d of a group is empty", i)
	}
	if p.Rest[0].Group {
		return b.start(p, memberID(group, i), value)
	}
	l := p.Rest[0]
	p.Rest, p.Own = p.Rest[1:], l.Undo
	return b.task(l, p, memberID(group, i), value)
}

// head says how many members a group has, and what follows it.
func (b *builder) head(p place, group string, members int, all bool) error {
	if members == 0 {
		b.advance(p, group, true, true, Outcome{Group: group}.json())
		return nil
	}
	out, err := headOf(p, group, members, all, b.origin)
	b.outs = append(b.outs, out)
	if seal, needed := sealOf(p.Queue, group, members); needed {
		b.outs = append(b.outs, seal)
	}
	return err
}

// task sends one task.
func (b *builder) task(l link, p place, id string, value json.RawMessage) error {
	body := l.Body
	if body == nil {
		body = value
	}
	if body == nil {
		body = json.RawMessage("null")
	}
	carried, err := p.encode()
	if err != nil {
		return err
	}
	msg := task.Message{Name: l.Name, ExecID: id, JobID: b.origin.JobID, JobName: b.origin.JobName, When: b.now,
		Body: string(body), Tenant: l.Tenant, Extra: map[string]types.MessageAttributeValue{}}
	if !l.At.IsZero() {
		msg.When = l.At
	}
	if b.origin.Trace != "" {
		msg.Extra[task.AttrTraceParent] = text(b.origin.Trace)
	}
	for name, v := range l.Extra {
		msg.Extra[name] = text(v)
	}
	msg.Extra[task.AttrFlow] = text(carried)
	out := task.Outgoing{Name: l.Name, ExecID: id, When: msg.When, Pool: l.Pool, Body: msg.Body,
		Attributes: msg.Attributes(), GroupID: l.Order}
	if fifo := strings.HasSuffix(l.Pool, ".fifo"); fifo {
		out.DedupID = id
		if out.GroupID == "" {
			out.GroupID = p.Flow
		}
	} else {
		out.Delay = time.Duration(l.Delay) * time.Second
	}
	if n := task.Size(out.Body, out.Attributes); n > task.MaxSize-task.Room {
		return fmt.Errorf("%w: %d bytes with what follows it, it may have %d", errTooLarge, n, task.MaxSize-task.Room)
	}
	b.outs = append(b.outs, out)
	return nil
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

func name(l link) string {
	if l.Group {
		return "a group"
	}
	return l.Name
}

// follow returns what follows an execution that has ended, and what to log of it.
func follow(e task.Ending, cancelled func(place) bool, now time.Time) ([]task.Outgoing, []line, error) {
	v, ok := e.Message.Extra[task.AttrFlow]
	if !ok {
		return nil, nil, nil
	}
	if v.StringValue == nil {
		return nil, nil, errors.New("the attribute " + task.AttrFlow + " is no string")
	}
	p, err := decodePlace(*v.StringValue)
	if err != nil {
		return nil, nil, err
	}
	b := builder{origin: origin{e.Message.JobID, e.Message.JobName, e.Message.TraceParent()}, now: now}
	value, ok := e.Result, e.Reason == ""
	switch {
	case ok && string(value) == continued:
		return nil, nil, nil // the flow that took its place goes on
	case value == nil || string(value) == skipped:
		value = json.RawMessage(e.Message.Body)
	}
	if ok && !p.Back && cancelled(p) {
		b.say(true, "a flow was cancelled")
		if string(e.Result) != skipped && p.Own != nil { // it has run
			p.Undo = append([]link{p.Own.undoOf(e.Message.ExecID, value)}, p.Undo...)
		}
		ok = false
	}
	b.advance(p, e.Message.ExecID, ok, false, value)
	return b.outs, b.said, nil
}
