package chassistest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// witness is a test that may fail without failing the real one.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	runtime.Goexit()
}

// says runs f and returns what it said to the witness.
func (w *witness) says(f func()) string {
	w.said = nil
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	return strings.Join(w.said, "\n")
}

func TestAssertionsFailWithWhatHappenedInstead(t *testing.T) {
	good, bad := task.Define[letter]("good"), task.Define[letter]("bad", task.MaxFailures(1))
	synctest.Test(t, func(t *testing.T) {
		w := &witness{TB: t}
		sys := chassistest.New(w)
		chassis.Handle(sys.System, good, func(context.Context, task.Job[letter]) error { return nil })
		chassis.Handle(sys.System, bad, func(context.Context, task.Job[letter]) error { return errDown })
		goodID, badID := chassistest.Send(sys, good, letter{}), chassistest.Send(sys, bad, letter{})
		sys.RunUntilIdle()
		for name, c := range map[string]struct {
			assert func()
			want   []string
		}{
			"succeeded":      {func() { sys.AssertSucceeded(goodID, badID) }, []string{badID, "given up", "exhausted", errDown.Error()}},
			"of no task":     {func() { sys.AssertSucceeded("t-0") }, []string{"t-0", "unseen"}},
			"given up":       {func() { sys.AssertGivenUp(goodID, task.ReasonExhausted) }, []string{goodID, "succeeded"}},
			"another reason": {func() { sys.AssertGivenUp(badID, task.ReasonCancelled) }, []string{badID, "cancelled", "exhausted"}},
			"attempts":       {func() { sys.AssertAttempts(goodID, 2) }, []string{"1 times, not 2"}},
			"dead":           {func() { sys.AssertDead(goodID, task.ReasonExhausted) }, []string{goodID, badID, errDown.Error()}},
			"none dead":      {func() { sys.AssertNoneDead() }, []string{"1 dead", badID}},
			"logged":         {func() { sys.AssertLogged("INFO", "never logged") }, []string{"never logged", "running", "DefaultLogger"}},
			"unregistered":   {func() { chassistest.Send(sys, task.Define[letter]("nope"), letter{}) }, []string{`"nope"`, "not registered"}},
		} {
			said := w.says(c.assert)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s: %q is not in what was said: %q", name, want, said)
				}
			}
		}
		if said := w.says(func() {
			sys.AssertSucceeded(goodID)
			sys.AssertGivenUp(badID, task.ReasonExhausted)
			sys.AssertAttempts(badID, 1)
			sys.AssertDead(badID, task.ReasonExhausted)
		}); said != "" {
			t.Errorf("what holds was denied: %s", said)
		}
	})
}

// A task that is never done must end the test, not hang it.
func TestWaitingHasALimit(t *testing.T) {
	again := task.Define[letter]("again")
	synctest.Test(t, func(t *testing.T) {
		w := &witness{TB: t}
		sys := chassistest.New(w, chassistest.Limit(time.Hour))
		chassis.Handle(sys.System, again, func(context.Context, task.Job[letter]) error { return task.Snooze(10 * time.Minute) })
		id := chassistest.Send(sys, again, letter{})
		begun := time.Now()
		said := w.says(sys.RunUntilIdle)
		if !strings.Contains(said, "not within 1h0m0s") || !strings.Contains(said, "1 ") {
			t.Errorf("RunUntilIdle said %q", said)
		}
		if took := time.Since(begun); took != time.Hour {
			t.Errorf("it took %v", took)
		}
		if said := w.says(func() { sys.WaitFor(id, "settled-for-ever") }); !strings.Contains(said, id) || !strings.Contains(said, "held") && !strings.Contains(said, "given_back") {
			t.Errorf("WaitFor said %q", said)
		}
	})
}

// hurried is a test that go test ends at a time.
type hurried struct {
	*witness
	at time.Time
}

func (h *hurried) Deadline() (time.Time, bool) { return h.at, true }

// In real time the default limit of a year meant that go test ended the process,
// and no text said what was waited for.
func TestAWaitInRealTimeEndsBeforeTheTestIsEnded(t *testing.T) {
	w := &hurried{witness: &witness{TB: t}, at: time.Now().Add(3 * time.Second)}
	sys := chassistest.New(w)
	said := w.says(func() { sys.WaitFor("t-0", dispatcher.Started) })
	if time.Now().After(w.at) || !strings.Contains(said, "not within 2") || !strings.Contains(said, "unseen") {
		t.Errorf("%v after the deadline: %s", time.Since(w.at), said)
	}
}
