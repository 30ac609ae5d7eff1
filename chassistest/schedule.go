package chassistest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Schedule is everything that a storm draws from its seed: the same schedule and
// the same play give the same trace. It is a plain value, so that a failing one can
// be kept as a test; see [Replay].
type Schedule struct {
	Seed   uint64  // of the order of what happens at one time, and of the draws of the play
	Fleet  int     // processes
	AsAWS  bool    // the queue is as unkind as AWS may be; see localsqs.AsAWS
	Sends  []int   // the sends of the play that take place, by their number from 0; nil: all
	Faults []Fault // in no order
}

// Fault is one thing that goes wrong. What a field means depends on the kind; one
// that a kind does not use is zero.
type Fault struct {
	Kind    Kind
	Process int           // 1 to Fleet; 0: whichever process comes
	On      Step          // what it strikes; empty: it comes at a time
	Nth     int           // it strikes at the n-th of these steps of the process, from 1
	At      time.Duration // since the beginning; of a fault that comes at a time
	For     time.Duration // how long it lasts, or how late something comes
	Back    time.Duration // a process that has ended is started again after this
	Arg     int           // a number that the kind needs: a send, or workers
}

// Kind names what a [Fault] does. What a kind permits the tasks that it touches is
// in its comment: "twice" means that the task may run, and end, again.
type Kind string

// The kinds of faults.
const (
	DieBefore Kind = "die before"   // the process dies before the step is done; twice
	DieAfter  Kind = "die after"    // it dies after the step is done, and never learns of it; twice
	DrainDie  Kind = "die in drain" // it is stopped at At and dies For later; twice
	Deploy    Kind = "deploy"       // it is stopped at At, and started again; nothing
	CutOff    Kind = "cut off"      // its requests do not reach the queue; twice
	Suspend   Kind = "suspend"      // nothing that it does comes through before the end; twice, and at once

	LoseRequest Kind = "lose request" // the request fails before it reaches the queue; of deletes: twice
	LoseAnswer  Kind = "lose answer"  // the queue does it, the answer is an error; twice
	LateRequest Kind = "late request" // the request reaches the queue For later; twice
	LateAnswer  Kind = "late answer"  // the answer comes For later; twice
	Repeat      Kind = "repeat"       // the request reaches the queue again, For later; twice
	SplitBatch  Kind = "split batch"  // some entries of the batch fail for a passing reason; twice
	Fail        Kind = "fail"         // the queue answers with InternalError; twice

	Throttle Kind = "throttle" // the queue throttles the action of all processes; twice
	Deny     Kind = "deny"     // the queue refuses the action to all processes; twice
	Expire   Kind = "expire"   // the credentials of all processes have expired; twice

	DeliverTwice Kind = "deliver twice" // what the receive brought is visible again after For; twice
	Skew         Kind = "skew"          // the clock of the process is For ahead; early, and twice

	CallSlow  Kind = "call slow"  // the answer of the upstream comes For later; nothing
	CallFails Kind = "call fails" // it answers 503 and has done nothing; nothing
	CallHangs Kind = "call hangs" // it does what was asked, and never answers; nothing
	CallPart  Kind = "call part"  // it does what was asked, and half of its answer comes; nothing

	CutBefore Kind = "cut before" // the connection to the database breaks before the statement is done; nothing
	CutAfter  Kind = "cut after"  // it breaks after that, and the process does not know; nothing

	Apply   Kind = "apply"   // the settings change: Arg workers; nothing
	Pause   Kind = "pause"   // an operator pauses the pool of a process for For; nothing
	Cancel  Kind = "cancel"  // an operator cancels the task of send Arg; its end
	Redrive Kind = "redrive" // an operator sends all dead letters back; another end
)

// Step names what a process does that a fault can strike.
type Step string

// The steps of a process.
const (
	OnReceive Step = "receive" // ReceiveMessage
	OnSend    Step = "send"    // SendMessage and SendMessageBatch
	OnDelete  Step = "delete"  // DeleteMessage and DeleteMessageBatch
	OnHide    Step = "hide"    // ChangeMessageVisibility and ChangeMessageVisibilityBatch
	OnLook    Step = "look"    // all other requests
	OnStart   Step = "start"   // a handler begins
	OnEffect  Step = "effect"  // [World.Effect]
	OnEnd     Step = "end"     // a handler has returned
	OnCall    Step = "call"    // a call of an [Upstream]

	OnStatement Step = "statement" // a statement to a database of [Process.DB], a begin, or a commit
)

var requests = []Step{OnReceive, OnSend, OnDelete, OnHide, OnLook}

// AllKinds are the kinds of faults that a storm draws unless [Kinds] says less.
func AllKinds() []Kind { return slices.Sorted(maps.Keys(draws)) }

// draws says how a fault of each kind is drawn. A kind stands in the map once for
// each of the kinds that a storm knows.
var draws = map[Kind]func(d *drawing, f *Fault){
	DieBefore:    func(d *drawing, f *Fault) { d.step(f, OnDelete, OnSend, OnHide, OnStart, OnEffect, OnEnd); d.back(f) },
	DieAfter:     func(d *drawing, f *Fault) { d.step(f, OnReceive, OnDelete, OnSend, OnHide, OnEffect, OnEnd); d.back(f) },
	DrainDie:     func(d *drawing, f *Fault) { d.time(f); f.For = d.upTo(2 * time.Second); d.back(f) },
	Deploy:       func(d *drawing, f *Fault) { d.time(f); d.back(f) },
	CutOff:       func(d *drawing, f *Fault) { d.time(f); f.For = d.upTo(time.Minute) },
	Suspend:      func(d *drawing, f *Fault) { d.time(f); f.For = d.upTo(time.Minute) },
	LoseRequest:  func(d *drawing, f *Fault) { d.step(f, requests...) },
	LoseAnswer:   func(d *drawing, f *Fault) { d.step(f, requests...) },
	LateRequest:  func(d *drawing, f *Fault) { d.step(f, requests...); f.For = d.upTo(20 * time.Second) },
	LateAnswer:   func(d *drawing, f *Fault) { d.step(f, requests...); f.For = d.upTo(20 * time.Second) },
	Repeat:       func(d *drawing, f *Fault) { d.step(f, OnSend, OnDelete, OnHide); f.For = d.upTo(10 * time.Second) },
	SplitBatch:   func(d *drawing, f *Fault) { d.step(f, OnSend, OnDelete, OnHide) },
	Fail:         func(d *drawing, f *Fault) { d.step(f, requests...) },
	Throttle:     func(d *drawing, f *Fault) { d.action(f) },
	Deny:         func(d *drawing, f *Fault) { d.action(f) },
	Expire:       func(d *drawing, f *Fault) { d.time(f); f.Process, f.For = 0, d.upTo(20*time.Second) },
	DeliverTwice: func(d *drawing, f *Fault) { d.step(f, OnReceive); f.For = d.upTo(5 * time.Second) },
	Skew:         func(d *drawing, f *Fault) { d.skew(f) },
	CallSlow:     func(d *drawing, f *Fault) { d.step(f, OnCall); f.For = d.upTo(30 * time.Second) },
	CallFails:    func(d *drawing, f *Fault) { d.step(f, OnCall) },
	CallHangs:    func(d *drawing, f *Fault) { d.step(f, OnCall) },
	CallPart:     func(d *drawing, f *Fault) { d.step(f, OnCall) },
	Apply:        func(d *drawing, f *Fault) { d.time(f); f.Arg = 1 + d.IntN(8) },
	Pause:        func(d *drawing, f *Fault) { d.time(f); f.For = d.upTo(30 * time.Second) },
	Cancel:       func(d *drawing, f *Fault) { d.time(f); f.Process, f.Arg = 0, d.IntN(32) },
	Redrive:      func(d *drawing, f *Fault) { d.time(f); f.Process = 1 + d.IntN(d.fleet) },
}

// drawing draws faults.
type drawing struct {
	*rand.Rand
	fleet int
}

// draw makes the schedule of a seed.
func draw(seed uint64, fleet, faults int, kinds []Kind) Schedule {
	d := &drawing{rand.New(rand.NewPCG(seed, 0x57f0)), fleet}
	s := Schedule{Seed: seed, Fleet: fleet, AsAWS: d.IntN(4) == 0 && slices.Contains(kinds, DeliverTwice)}
	for range faults {
		f := Fault{Kind: kinds[d.IntN(len(kinds))], Process: 1 + d.IntN(fleet)}
		draws[f.Kind](d, &f)
		s.Faults = append(s.Faults, f)
	}
	return s
}

// spell is the time in which faults come at a time.
const spell = 40 * time.Second

func (d *drawing) step(f *Fault, steps ...Step) {
	f.On = steps[d.IntN(len(steps))]
	f.Nth = 1 + min(d.IntN(10), d.IntN(10))
	if d.IntN(3) == 0 {
		f.Process, f.Nth = 0, 1+d.IntN(24)
	}
}

func (d *drawing) time(f *Fault) { f.At = d.upTo(spell) }

func (d *drawing) back(f *Fault) { f.Back = d.upTo(30 * time.Second) }

func (d *drawing) action(f *Fault) {
	d.time(f)
	f.Process, f.On, f.For = 0, requests[d.IntN(len(requests))], d.upTo(20*time.Second)
}

func (d *drawing) skew(f *Fault) {
	d.time(f)
	f.At /= 4
	f.For = d.upTo(5*time.Minute) - 150*time.Second
}

// upTo draws a time of at least a millisecond, as often short as long.
func (d *drawing) upTo(most time.Duration) time.Duration {
	for range d.IntN(3) {
		most /= 6
	}
	return time.Duration(1+d.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

// String is the fault for people.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.On != "" {
		fmt.Fprintf(&b, " %s", f.On)
	}
	if f.Nth > 0 {
		fmt.Fprintf(&b, " no. %d", f.Nth)
	}
	if f.Process > 0 {
		fmt.Fprintf(&b, " of p%d", f.Process)
	}
	if f.Nth == 0 {
		fmt.Fprintf(&b, " at %v", f.At)
	}
	if f.For != 0 {
		fmt.Fprintf(&b, " for %v", f.For)
	}
	if f.Back > 0 {
		fmt.Fprintf(&b, ", back after %v", f.Back)
	}
	if f.Arg > 0 || f.Kind == Cancel {
		fmt.Fprintf(&b, " (%d)", f.Arg)
	}
	return b.String()
}

// GoString is the schedule as Go, for a test that uses [Replay].
func (s Schedule) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "chassistest.Schedule{Seed: %d, Fleet: %d", s.Seed, s.Fleet)
	if s.AsAWS {
		b.WriteString(", AsAWS: true")
	}
	if s.Sends != nil {
		fmt.Fprintf(&b, ", Sends: %#v", s.Sends)
	}
	if len(s.Faults) > 0 {
		b.WriteString(", Faults: []chassistest.Fault{\n")
		for _, f := range s.Faults {
			fmt.Fprintf(&b, "\t%s,\n", f.literal())
		}
		b.WriteString("}")
	}
	b.WriteString("}")
	return b.String()
}

// literal is the fault as an element of a []Fault.
func (f Fault) literal() string {
	fields := []string{"Kind: chassistest." + names[string(f.Kind)]}
	put := func(name, value string, there bool) {
		if there {
			fields = append(fields, name+": "+value)
		}
	}
	put("Process", fmt.Sprint(f.Process), f.Process != 0)
	put("On", "chassistest."+names[string(f.On)], f.On != "")
	put("Nth", fmt.Sprint(f.Nth), f.Nth != 0)
	put("At", duration(f.At), f.At != 0)
	put("For", duration(f.For), f.For != 0)
	put("Back", duration(f.Back), f.Back != 0)
	put("Arg", fmt.Sprint(f.Arg), f.Arg != 0)
	return "{" + strings.Join(fields, ", ") + "}"
}

// duration is d as Go.
func duration(d time.Duration) string {
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{time.Minute, "time.Minute"}, {time.Second, "time.Second"}, {time.Millisecond, "time.Millisecond"}} {
		if n := d / u.d; d%u.d == 0 {
			if n == 1 {
				return u.name
			}
			return fmt.Sprintf("%d * %s", n, u.name)
		}
	}
	return fmt.Sprintf("%d", d)
}

// names are the names of the constants, by their values.
var names = map[string]string{
	string(DieBefore): "DieBefore", string(DieAfter): "DieAfter", string(DrainDie): "DrainDie", string(Deploy): "Deploy",
	string(CutOff): "CutOff", string(Suspend): "Suspend", string(LoseRequest): "LoseRequest",
	string(LoseAnswer): "LoseAnswer", string(LateRequest): "LateRequest", string(LateAnswer): "LateAnswer",
	string(Repeat): "Repeat", string(SplitBatch): "SplitBatch", string(Fail): "Fail", string(Throttle): "Throttle",
	string(Deny): "Deny", string(Expire): "Expire", string(DeliverTwice): "DeliverTwice", string(Skew): "Skew",
	string(CallSlow): "CallSlow", string(CallFails): "CallFails", string(CallHangs): "CallHangs",
	string(CallPart): "CallPart", string(Apply): "Apply", string(Pause): "Pause", string(Cancel): "Cancel",
	string(Redrive): "Redrive", string(CutBefore): "CutBefore", string(CutAfter): "CutAfter",
	string(OnReceive): "OnReceive", string(OnSend): "OnSend", string(OnDelete): "OnDelete", string(OnHide): "OnHide",
	string(OnLook): "OnLook", string(OnStart): "OnStart", string(OnEffect): "OnEffect", string(OnEnd): "OnEnd",
	string(OnCall): "OnCall", string(OnStatement): "OnStatement",
}

// check returns what is wrong with a schedule that a test gives.
func (s Schedule) check() error {
	if s.Fleet < 1 {
		return fmt.Errorf("chassistest: a schedule with a fleet of %d: want 1 process or more", s.Fleet)
	}
	for i, f := range s.Faults {
		if draws[f.Kind] == nil && f.Kind != CutBefore && f.Kind != CutAfter {
			return fmt.Errorf("chassistest: fault %d is of the kind %q: want one of %v", i, f.Kind,
				append(AllKinds(), CutBefore, CutAfter))
		}
		if f.Process < 0 || f.Process > s.Fleet {
			return fmt.Errorf("chassistest: fault %d is of process %d: want 0 to %d", i, f.Process, s.Fleet)
		}
	}
	return nil
}
