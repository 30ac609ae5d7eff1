package flow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

// graph draws a random flow, and the model of it.
type graph struct {
	rand  *rand.Rand
	left  int // nodes
	names int
	subs  map[string]flow.Flow // what a task puts in its place, by its name
}

type node struct {
	Name string `json:"name"`
	Ends string `json:"ends,omitempty"` // "": well; "late": after failures; "bad": it fails for good
}

// chain is the model of a chain: its stages in order. What a task has put in its place
// stands behind that.
type chain []stage

type stage struct {
	node           // of a task; no name: of a group
	label   string // of a task that gets what the group before it came to
	undo    string
	group   bool
	members []chain
	needAll bool
}

func (g *graph) name(kind string) string {
	g.names++
	g.left--
	return fmt.Sprint(kind, g.names)
}

// task is one task; more is what it puts in its place.
func (g *graph) task(depth int) (f flow.Flow, s stage, more chain) {
	s.node.Name = g.name("t")
	switch g.rand.IntN(8) {
	case 0:
		s.Ends = "bad"
	case 1:
		s.Ends = "late"
	}
	if depth > 0 && g.left > 0 && g.rand.IntN(6) == 0 {
		var sub flow.Flow
		sub, more = g.chain(depth-1, true)
		g.subs[s.node.Name] = sub
	}
	return flow.Task(step, s.node), s, more
}

// chain is a chain of tasks and groups, some with an undo. Its first link may be a batch.
func (g *graph) chain(depth int, batch bool) (flow.Flow, chain) {
	var links []flow.Flow
	var stages chain
	for n := 1 + g.rand.IntN(4); n > 0 && g.left > 0 || len(links) == 0; n-- {
		var (
			f    flow.Flow
			s    stage
			more chain
		)
		if depth > 0 && g.rand.IntN(3) == 0 {
			f, s = g.group(depth-1, batch && len(links) == 0)
		} else {
			f, s, more = g.task(depth)
		}
		if g.rand.IntN(3) == 0 {
			s.undo = g.name("u")
			f = f.Undo(flow.Task(step, node{Name: s.undo}))
		}
		links, stages = append(links, f), append(append(stages, s), more...)
		if s.group && g.rand.IntN(4) > 0 {
			label := g.name("j")
			links = append(links, flow.Next(gather, task.Attribute("label", label)))
			stages = append(stages, stage{label: label})
		}
	}
	return flow.Chain(links...), stages
}

// group is a group of chains.
func (g *graph) group(depth int, batch bool) (flow.Flow, stage) {
	s := stage{group: true}
	var members []flow.Flow
	for n := g.rand.IntN(5); n > 0 && g.left > 0; n-- {
		f, c := g.chain(depth, false)
		members, s.members = append(members, f), append(s.members, c)
	}
	f := flow.Group(members...)
	if batch {
		f = flow.Batch(slices.Values(members))
	}
	if g.rand.IntN(3) == 0 {
		f, s.needAll = f.NeedAll(), true
	}
	return f, s
}

// top is a whole flow of up to so many nodes, at the end of which comes "end".
func (g *graph) top() (flow.Flow, chain) {
	nodes := g.left
	f, s := g.group(3, false)
	for g.left > nodes-5 { // it came out small
		f, s = g.group(4, false)
	}
	if s.needAll { // what is behind it would not run
		f, s = flow.Group(f), stage{group: true, members: []chain{{s}}}
	}
	return f.Then(flow.Next(gather, task.Attribute("label", "end"))), chain{s, {label: "end"}}
}

// said is what a task says that gets the outcome of a group.
func said(label string, o flow.Outcome) string {
	return fmt.Sprint(label, " ", fmt.Sprint(o.Members, o.Done, o.FailedMembers))
}

// run is a sequential run: it notes what is to have run, and reports whether the chain is
// done.
func (c chain) run(want map[string]bool) bool {
	var undos []string
	var outcome flow.Outcome
	for _, s := range c {
		ok := true
		switch {
		case s.group:
			outcome = s.join(want)
			ok = !s.needAll || outcome.Failed == 0
		case s.label != "":
			want[said(s.label, outcome)] = true
		case s.Ends == "bad":
			ok = false
		default:
			want[s.Name] = true
		}
		if s.undo != "" && (ok || s.group) {
			undos = append(undos, s.undo)
		}
		if !ok {
			for _, u := range undos {
				want[u] = true
			}
			return false
		}
	}
	return true
}

// join runs the members of a group.
func (s stage) join(want map[string]bool) flow.Outcome {
	o := flow.Outcome{Members: len(s.members)}
	for i, m := range s.members {
		if m.run(want) {
			o.Done++
		} else {
			o.Failed++
			o.FailedMembers = append(o.FailedMembers, i)
		}
	}
	return o
}

// each calls f for every chain of the model.
func (c chain) each(f func(chain)) {
	f(c)
	for _, s := range c {
		for _, m := range s.members {
			m.each(f)
		}
	}
}
