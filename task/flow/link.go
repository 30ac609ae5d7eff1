package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sambatech/chassis/task"
)

// Flow is work to be done in an order: a task, a chain, or a group. It is a value, and is
// not changed by what is made of it. Mistakes are errors of [Flows.Start].
type Flow struct {
	links  []link
	stream iter.Seq[Flow] // the members of the first link, a group
	err    error
}

// link is one place of a chain: a task, or a group.
type link struct {
	Name   string            `json:"n,omitempty"`
	Body   json.RawMessage   `json:"b,omitempty"` // absent: what the one before has returned
	Pool   string            `json:"p,omitempty"`
	Order  string            `json:"o,omitempty"` // its message group
	Tenant string            `json:"y,omitempty"`
	Delay  int               `json:"d,omitempty"` // seconds
	At     time.Time         `json:"w,omitzero"`
	Extra  map[string]string `json:"x,omitempty"` // attributes
	Undo   *link             `json:"u,omitempty"`
	Exec   string            `json:"e,omitempty"` // of an undo that waits: the exec_id that it is sent with

	Group   bool     `json:"g,omitempty"`
	Members [][]link `json:"m,omitempty"` // each a chain
	All     bool     `json:"a,omitempty"` // one failed member fails the group
}

// Task is a link that runs the task of def with args. opts are those of any send, but for
// task.ExecID and task.Dedup, which the flow sets. The job of a link is that of the flow.
func Task[A any](def *task.Definition[A], args A, opts ...task.Option) Flow {
	return single(def.Spec(), args, true, opts)
}

// Next is a link that runs the task of def with what the link before it has returned by
// task.Return. Where that has returned nothing, it gets the arguments of that one; after a
// group it gets an [Outcome].
func Next[A any](def *task.Definition[A], opts ...task.Option) Flow {
	return single(def.Spec(), nil, false, opts)
}

// unscheduled marks a message without task.At.
var unscheduled = time.Unix(1, 0).UTC()

func single(spec task.Spec, args any, own bool, opts []task.Option) Flow {
	fail := func(err error) Flow { return Flow{err: err} }
	if err := spec.Err(); err != nil {
		return fail(err)
	}
	if spec.Sealing&task.Encrypt != 0 {
		return fail(fmt.Errorf("link %q: its arguments are to be encrypted (task.Encrypted), and a flow "+
			"carries those of its links as plain text: let a task of the flow send it", spec.Name))
	}
	if task.NamesOne(opts...) {
		return fail(fmt.Errorf("link %q: task.ExecID and task.Dedup are the flow's to set: leave them out", spec.Name))
	}
	if own {
		opts = spec.ByTenant(opts)
	}
	out, err := task.Encode(spec.Name, args, unscheduled, opts...)
	if err != nil {
		return fail(err)
	}
	msg, err := task.Decode(out.Body, out.Attributes)
	if err != nil {
		return fail(fmt.Errorf("link %q: %w", spec.Name, err))
	}
	l := link{Name: spec.Name, Pool: out.Pool, Order: out.GroupID, Tenant: out.Tenant,
		Delay: int(out.Delay / time.Second)}
	if l.Pool == "" {
		l.Pool = spec.Pool
	}
	if own {
		l.Body = json.RawMessage(out.Body)
	}
	if !msg.When.Equal(unscheduled) {
		l.At = msg.When
	}
	for name, v := range msg.Extra {
		if name == task.AttrFlow {
			return fail(fmt.Errorf("link %q: the attribute %q is the flow's to set", spec.Name, name))
		}
		if v.StringValue != nil {
			if l.Extra == nil {
				l.Extra = map[string]string{}
			}
			l.Extra[name] = *v.StringValue
		}
	}
	return Flow{links: []link{l}}
}

// Chain runs flows one after the other, each when the one before is done. One that fails
// for good ends the chain: what comes after it does not run.
func Chain(flows ...Flow) Flow {
	var all Flow
	if len(flows) == 0 {
		all.err = errors.New("a chain without links")
	}
	for i, f := range flows {
		if f.stream != nil {
			if i > 0 {
				all.err = errors.Join(all.err, errors.New("a batch stands at the begin of a flow: a later link would "+
					"have to carry its members; let a task start it"))
			}
			all.stream = f.stream
		}
		all.links, all.err = append(all.links, f.links...), errors.Join(all.err, f.err)
	}
	return all
}

// Then is Chain(f, next).
func (f Flow) Then(next Flow) Flow { return Chain(f, next) }

// Saga is [Chain]: where a step fails for good, the undo of each step that was done before
// runs, the last first. It is a name for chains of links with a [Flow.Undo].
func Saga(steps ...Flow) Flow { return Chain(steps...) }

// Undo gives a task or a group what makes up for it: it runs where a later link of the
// chain fails for good. An undo is a task with a budget of its own; one that fails for good
// leaves its dead letter, and those of earlier links run all the same. An undo by [Next] gets
// what its link has returned. That of a group runs also where the group itself fails,
// for some of its members are done.
func (f Flow) Undo(undo Flow) Flow {
	err := errors.Join(f.err, undo.err)
	switch {
	case err != nil:
	case len(f.links) != 1:
		err = errors.New("an undo is of one task or one group: give each link of a chain its own")
	case len(undo.links) != 1 || undo.links[0].Group || undo.links[0].Undo != nil:
		err = errors.New("an undo is one task, and has no undo")
	default:
		l := f.links[0]
		u := undo.links[0]
		l.Undo = &u
		return Flow{links: []link{l}, stream: f.stream}
	}
	return Flow{err: err}
}

// Group runs flows at the same time. What stands behind it in a chain runs once, after all
// of them have ended, and gets an [Outcome]: members that have failed for good do not keep
// it from running, unless [Flow.NeedAll] says that. A group without members goes on at once.
// The members travel in one message where the group is not the first link: for many of
// them see [Batch].
func Group(members ...Flow) Flow {
	l := link{Group: true}
	var all Flow
	for i, m := range members {
		if m.stream != nil {
			all.err = errors.Join(all.err, fmt.Errorf("member %d: a batch is not a member of a group: let a task "+
				"start it", i))
		}
		if len(m.links) == 0 && m.err == nil {
			m.err = errors.New("it is empty")
		}
		if m.err != nil {
			all.err = errors.Join(all.err, fmt.Errorf("member %d: %w", i, m.err))
		}
		l.Members = append(l.Members, m.links)
	}
	all.links = []link{l}
	return all
}

// MaxMembers is the most that one group may have.
const MaxMembers = 10_000_000

// Batch is a [Group] of members that are drawn while they are sent, and not kept: up to
// [MaxMembers]. It is the first link of a flow.
func Batch(members iter.Seq[Flow]) Flow {
	f := Flow{links: []link{{Group: true}}, stream: members}
	if members == nil {
		f.err = errors.New("a batch without a sequence of members")
	}
	return f
}

// NeedAll makes a group fail if one of its members fails for good: what stands behind it
// does not run, and earlier links are undone. It is decided when all members have ended.
func (f Flow) NeedAll() Flow {
	if len(f.links) != 1 || !f.links[0].Group {
		return Flow{err: errors.Join(f.err, errors.New("NeedAll is for a group"))}
	}
	l := f.links[0]
	l.All = true
	return Flow{links: []link{l}, stream: f.stream, err: f.err}
}

// resolve returns the links with the pool of each filled in.
func resolve(links []link, pool string) ([]link, error) {
	out := make([]link, len(links))
	for i, l := range links {
		if l.Group {
			members := make([][]link, len(l.Members))
			for k, m := range l.Members {
				var err error
				if members[k], err = resolve(m, pool); err != nil {
					return nil, err
				}
			}
			l.Members = members
		} else if l.Pool == "" {
			l.Pool = pool
		}
		if !l.Group && l.Pool == "" {
			return nil, fmt.Errorf("link %q has no pool: set tasks.task_pool, or choose one with task.Pool", l.Name)
		}
		if l.Undo != nil {
			u := *l.Undo
			if u.Pool == "" {
				u.Pool = pool
			}
			l.Undo = &u
		}
		out[i] = l
	}
	return out, nil
}
