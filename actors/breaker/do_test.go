package breaker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// The machine and tree are the sequential specification. Every call is two
// operations, its admission and its report; the end of an open time is a third,
// made by hand so that no clock is part of the history.
type opKind uint8

const (
	opAdmit opKind = iota
	opReport
	opExpire
	opState
	opFinal
)

type opInput struct {
	kind opKind
	call int // admission that a report belongs to
	path string
	end  eventKind
}

type opOutput struct {
	refused bool
	entry   string // that refused
	state   State
	dump    string // of the whole tree
}

// spec is the state of the specification: a tree and the calls in flight.
type spec struct {
	tree  *tree
	calls map[int]Permit
}

func (s spec) step(in opInput, out opOutput) (bool, spec) {
	switch in.kind {
	case opAdmit:
		e := begin(s.tree, 0, 0)
		slot, d := e.admit(in.path, term{})
		if out.refused || d.refusal != nil {
			return out.refused && d.refusal != nil && d.refusal.Entry == out.entry, s
		}
		return true, spec{&e.tree, with(s.calls, in.call, Permit{gen: e.gen, slot: slot, path: in.path})}
	case opReport:
		p, ok := s.calls[in.call]
		if !ok {
			return false, s
		}
		e := begin(s.tree, 0, 0)
		e.report(result{path: p.path, gen: p.gen, slot: p.slot, kind: in.end})
		calls := maps.Clone(s.calls)
		delete(calls, in.call)
		return true, spec{&e.tree, calls}
	case opExpire:
		e := begin(s.tree, 0, 0)
		expireNow(e, in.path)
		return true, spec{&e.tree, s.calls}
	}
	if in.kind == opFinal {
		return s.tree.dump() == out.dump, s
	}
	n := s.tree.root
	for seg, rest := nextSegment(in.path); n != nil && seg != ""; seg, rest = nextSegment(rest) {
		n = n.kid(seg)
	}
	if n == nil {
		return out.state == Closed, s
	}
	return out.state == n.shown(), s
}

func with(calls map[int]Permit, id int, p Permit) map[int]Permit {
	next := maps.Clone(calls)
	next[id] = p
	return next
}

// expireNow ends the open time of an entry.
func expireNow(e *edit, path string) {
	n := e.take(path, false)
	if last := n[len(n)-1]; last.path == path && last.state == Open {
		e.now = last.until
		e.step(last, event{kind: evTime})
		e.put()
	}
}

// dump is everything of a tree but its times.
func (t *tree) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seq %d slots %d entries %d", t.seq, t.slots, t.entries)
	t.root.walk(func(n *node) {
		fmt.Fprintf(&b, "\n%s %v fails %d succs %d since %d blamed %v probes", n.path, n.state, n.fails, n.succs, n.since, n.blamed)
		for _, p := range n.probes {
			fmt.Fprint(&b, " ", p.id)
		}
	})
	return b.String()
}

// apart copies a node and all below it.
func apart(n *node) *node {
	c := *n
	c.kids = slices.Clone(n.kids)
	for i, kid := range c.kids {
		c.kids[i] = apart(kid)
	}
	return &c
}

func model(initial *tree) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return spec{initial, map[int]Permit{}} },
		Step: func(state, in, out any) (bool, any) {
			ok, next := state.(spec).step(in.(opInput), out.(opOutput))
			return ok, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(spec), b.(spec)
			return x.tree == y.tree && len(x.calls) == len(y.calls) || maps.Equal(x.calls, y.calls) && x.tree.dump() == y.tree.dump()
		},
	}
}

// TestLinearizable records concurrent calls, in rounds, and looks for an order
// of them in which the machine alone would have given the same answers.
func TestLinearizable(t *testing.T) {
	total := scaled(20_000, 60_000, 1_000_000)
	settings := Settings{ClosedFailLimit: 3, ClosedSuccessLimit: 2, HalfFailLimit: 2, HalfSuccessLimit: 3, HalfProbeLimit: 2,
		OpenTimeout: time.Hour, OpenMax: time.Hour, RequestTimeout: time.Hour, ForgetAfter: 24 * time.Hour}
	system := newSystem(t)
	var b *Breaker
	paths := []string{"", "/a", "/a/b", "/a/c", "/d"}
	const workers, steps = 4, 12
	done, trips, seed := 0, 0, uint64(1)
	for done < total {
		// Every other round begins with a breaker on which all is well, and with
		// few failures; in the others it is as the round before has left it.
		failures := 5
		if seed%2 == 1 {
			failures = 1
			if b != nil {
				_ = b.Stop(t.Context())
			}
			var err error
			if b, err = Spawn(system, "https://mail.internal", settings); err != nil {
				t.Fatal(err)
			}
		}
		initial := b.view.Load().tree
		initial.root = apart(initial.root) // failures are counted in place
		before := initial.seq
		var clock, calls atomic.Int64
		histories := make([][]porcupine.Operation, workers)
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				r := &recorder{b: b, clock: &clock, calls: &calls, client: w, failures: failures, rng: rand.New(rand.NewPCG(seed, uint64(w)))}
				for range steps {
					r.step(paths)
				}
				histories[w] = r.ops
			})
		}
		group.Wait()
		seed++
		var history []porcupine.Operation
		for _, h := range histories {
			history = append(history, h...)
		}
		done += len(history)
		trips += int(b.view.Load().seq - before)
		final := b.view.Load().dump() // what is left must be what the order leads to
		history = append(history, porcupine.Operation{Input: opInput{kind: opFinal}, Call: clock.Add(1), Output: opOutput{dump: final}, Return: clock.Add(1)})
		if got := porcupine.CheckOperationsTimeout(model(&initial), history, time.Minute); got != porcupine.Ok {
			t.Fatalf("round %d: %s, from\n%s\nto\n%s\n%s", seed, got, initial.dump(), b.view.Load().dump(), describe(history))
		}
	}
	_ = b.Stop(t.Context())
	t.Logf("%d operations, %d transitions", done, trips)
	if trips < done/200 {
		t.Errorf("only %d transitions in %d operations: the test tests nothing", trips, done)
	}
}

// recorder makes the calls of one client and writes down when each operation
// was begun and ended.
type recorder struct {
	b            *Breaker
	clock, calls *atomic.Int64
	client       int
	failures     int // of 10 calls
	rng          *rand.Rand
	ops          []porcupine.Operation
}

func (r *recorder) add(in opInput, called int64, out opOutput) {
	r.ops = append(r.ops, porcupine.Operation{ClientId: r.client, Input: in, Call: called, Output: out, Return: r.clock.Add(1)})
}

func (r *recorder) step(paths []string) {
	path := paths[r.rng.IntN(len(paths))]
	switch r.rng.IntN(10) {
	case 0:
		called := r.clock.Add(1)
		_, _ = query(r.b, func(s *state) (struct{}, error) {
			e := s.begin()
			expireNow(e, path)
			s.commit(e)
			return struct{}{}, nil
		})
		r.add(opInput{kind: opExpire, path: path}, called, opOutput{})
	case 1:
		called := r.clock.Add(1)
		r.add(opInput{kind: opState, path: path}, called, opOutput{state: r.b.StateOf(path)})
	default:
		r.call(path, paths)
	}
}

func (r *recorder) call(path string, paths []string) {
	end := evSuccess
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	id := int(r.calls.Add(1))
	var reported int64
	called := r.clock.Add(1)
	err := r.b.Do(ctx, path, func(context.Context) error {
		r.add(opInput{kind: opAdmit, call: id, path: path}, called, opOutput{})
		for r.rng.IntN(4) == 0 { // much may happen while a call runs
			r.step(paths)
		}
		var err error
		switch n := r.rng.IntN(10); {
		case n < r.failures:
			end, err = evFailure, errBoom
		case n < r.failures+1:
			end, err = evNeutral, context.Canceled
			cancel()
		}
		reported = r.clock.Add(1)
		return err
	})
	if open, ok := errors.AsType[*OpenError](err); ok {
		r.add(opInput{kind: opAdmit, call: id, path: path}, called, opOutput{refused: true, entry: open.Entry})
		return
	}
	r.add(opInput{kind: opReport, call: id, path: path, end: end}, reported, opOutput{})
}

func describe(history []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "%d: [%d %d] %+v %+v\n", op.ClientId, op.Call, op.Return, op.Input, op.Output)
	}
	return b.String()
}

// TestNothingPassesOnceTheTrippingCallHasReturned is the promise in words.
func TestNothingPassesOnceTheTrippingCallHasReturned(t *testing.T) {
	b := newBreaker(t, Settings{ClosedFailLimit: 1, OpenTimeout: time.Hour, OpenMax: time.Hour})
	for range scaled(500, 3000, 3000) {
		var group sync.WaitGroup
		var tripped, wrong atomic.Bool
		for range 4 {
			group.Go(func() {
				for {
					late := tripped.Load()
					called := false
					_ = b.Do(t.Context(), "/a", func(context.Context) error { called = true; return errBoom })
					if called && late {
						wrong.Store(true)
					}
					tripped.Store(true)
					if !called {
						return
					}
				}
			})
		}
		group.Wait()
		if wrong.Load() {
			t.Fatal("a call passed that began after the tripping call had returned")
		}
		if err := b.Reset(""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoute: a route follows the state of its path through every change.
func TestRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 3, ClosedSuccessLimit: 2, HalfSuccessLimit: 1})
		route, other := b.Route("/v1/a/b/c"), b.Route("/v1/x")
		want := func(refused bool, state State, fails int) {
			t.Helper()
			for range 2 { // looked up, and as remembered
				err := route.Do(t.Context(), func(c context.Context) error { return Ignore(errBoom) })
				if open, ok := errors.AsType[*OpenError](err); ok != refused || ok && open.Entry != "/v1/a" {
					t.Errorf("%v", err)
				}
			}
			if got := b.StateOf("/v1/a"); got != state {
				t.Errorf("%v, want %v", got, state)
			}
			if got := b.view.Load().root.fails; int(got) != fails {
				t.Errorf("%d failures, want %d", got, fails)
			}
		}
		want(false, Closed, 0)
		_ = route.Do(t.Context(), fail)
		want(false, Closed, 1)
		_ = route.Do(t.Context(), succeed) // counts, for there is a failure
		_ = route.Do(t.Context(), fail)
		want(false, Closed, 2)
		_ = other.Do(t.Context(), succeed)
		_ = other.Do(t.Context(), succeed)
		want(false, Closed, 0)
		if err := b.ForceOpen("/v1/a", 0); err != nil {
			t.Fatal(err)
		}
		want(true, ForcedOpen, 0)
		if err := b.Reset("/v1/a"); err != nil {
			t.Fatal(err)
		}
		want(false, Closed, 0)
		for range 3 {
			_ = b.Do(t.Context(), "/v1/a", fail)
			_ = b.Do(t.Context(), "/v1", succeed)
			_ = b.Do(t.Context(), "/v1", succeed)
		}
		want(true, Open, 0)
		if err := other.Do(t.Context(), succeed); err != nil {
			t.Error("a neighbour is refused", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := route.Do(t.Context(), succeed); err != nil {
			t.Error(err)
		}
		want(false, Closed, 0)
		func() {
			defer func() { _ = recover() }()
			_ = route.Do(t.Context(), func(context.Context) error { panic("fn") })
		}()
		want(false, Closed, 1)
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := route.Do(t.Context(), succeed); err != ErrStopped {
			t.Error(err)
		}
	})
}
