package chassistest

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"context"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"pgregory.net/rapid"
)

// needsTwo is a play that does not hold once two faults of certain kinds have happened.
func needsTwo(w *World) {
	parcels(30)(w)
	w.Eventually("not both", func() error {
		deploys, lost := 0, 0
		for _, e := range w.History() {
			if e.What == "FAULT" && strings.HasPrefix(e.Note, string(Deploy)) {
				deploys++
			}
			if e.What == "FAULT" && strings.HasPrefix(e.Note, string(LoseAnswer)) {
				lost++
			}
		}
		if deploys > 0 && lost > 0 {
			return errors.New("a deploy and a lost answer")
		}
		return nil
	})
}

// TestShrinkFindsTheTwoFaults: of twenty faults the two are left that it takes, with one
// send, in a small fleet, and at round times; and the schedule fails again by itself.
func TestShrinkFindsTheTwoFaults(t *testing.T) {
	s := newStorm(t, needsTwo, []StormOption{Seeds(50)})
	found := s.search()
	if found == nil {
		t.Fatal("nothing was found in 50 seeds")
	}
	small := s.shrink(found).schedule
	kinds := []Kind{}
	for _, f := range small.Faults {
		kinds = append(kinds, f.Kind)
		if f.At%(10*time.Millisecond) != 0 || f.Back%(10*time.Millisecond) != 0 {
			t.Errorf("the times of %v are not round", f)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []Kind{Deploy, LoseAnswer}) || len(small.Sends) != 1 || small.Fleet != 1 {
		t.Errorf("shrunk to %#v", small)
	}
	for range 3 {
		if r := s.run(small); len(r.findings) == 0 || r.findings[0].Invariant != "not both" {
			t.Errorf("played again, it finds %v", r.findings)
		}
	}
}

// TestAScheduleIsGo: the schedule of a finding is printed as Go that holds all of it.
func TestAScheduleIsGo(t *testing.T) {
	s := Schedule{Seed: 7, Fleet: 2, AsAWS: true, Sends: []int{1, 4}, Faults: []Fault{
		{Kind: DieAfter, Process: 1, On: OnEffect, Nth: 3, Back: 1500 * time.Millisecond},
		{Kind: Cancel, At: time.Minute, Arg: 4},
	}}
	want := "chassistest.Schedule{Seed: 7, Fleet: 2, AsAWS: true, Sends: []int{1, 4}, Faults: []chassistest.Fault{\n" +
		"\t{Kind: chassistest.DieAfter, Process: 1, On: chassistest.OnEffect, Nth: 3, Back: 1500 * time.Millisecond},\n" +
		"\t{Kind: chassistest.Cancel, At: time.Minute, Arg: 4},\n}}"
	if got := s.GoString(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, kind := range AllKinds() {
		if names[string(kind)] == "" {
			t.Errorf("the kind %q has no name in Go", kind)
		}
	}
}

// TestALeakIsFound: a goroutine of a handler that never ends is a finding, and not the
// end of the test's process. It runs in a process of its own, for the goroutine stays.
func TestALeakIsFound(t *testing.T) {
	if os.Getenv("STORM_LEAK") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestALeakIsFound$", "-test.v")
		cmd.Env = append(os.Environ(), "STORM_LEAK=1")
		out, _ := cmd.CombinedOutput() // goleak fails it
		if !strings.Contains(string(out), "as it should be") {
			t.Errorf("the process said:\n%s", out)
		}
		return
	}
	r := newStorm(t, func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, post, func(context.Context, task.Job[parcel]) error {
				go func() { select {} }() // its stack says so
				return nil
			})
		})
		SubmitAt(w, time.Second, post, parcel{1})
	}, nil).run(Schedule{Seed: 1, Fleet: 1})
	if len(r.findings) == 1 && r.findings[0].Invariant == Leak &&
		strings.Contains(r.findings[0].What, "chassistest.TestALeakIsFound.") {
		t.Log("as it should be")
	} else {
		t.Errorf("found %v", r.findings)
	}
}

// TestAWrongPlayIsSaid: a service that cannot start is the play's mistake.
func TestAWrongPlayIsSaid(t *testing.T) {
	r := newStorm(t, func(w *World) {
		w.Service(func(p *Process) {
			wrong := task.Define[parcel]("wrong", task.MaxFailures(0))
			chassis.Handle(p.System, wrong, func(context.Context, task.Job[parcel]) error { return nil })
		})
		SubmitAt(w, time.Second, post, parcel{1})
	}, nil).run(Schedule{Seed: 1, Fleet: 1})
	if len(r.findings) == 0 || r.findings[0].Invariant != Plays || !strings.Contains(r.findings[0].What, "MaxFailures") {
		t.Errorf("found %v", r.findings)
	}
}

// TestMinimal: what is left fails, and no longer does without any one of its elements.
func TestMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		// It fails with all of one of these groups.
		groups := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 40), 0, 4), 1, 3).Draw(t, "groups")
		fails := func(part []int) bool {
			return slices.ContainsFunc(groups, func(g []int) bool {
				return !slices.ContainsFunc(g, func(x int) bool { return !slices.Contains(part, x) })
			})
		}
		if !fails(list) {
			t.Skip("it does not fail")
		}
		got := minimal(list, fails)
		if !fails(got) {
			t.Fatalf("%v does not fail", got)
		}
		for i := range got {
			if fails(slices.Concat(got[:i], got[i+1:])) {
				t.Fatalf("%v fails without %d, too", got, got[i])
			}
		}
	})
}
