package chassistest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// TestATaskActorIsJudged: each way in which an attempt of a task actor ends is an end in the
// timeline, with its error, and a death before the end has it run again.
func TestATaskActorIsJudged(t *testing.T) {
	rows := map[string]struct {
		receive func(c actor.Context, m *dispatcher.Execute)
		ends    []string // the notes, in order
	}{
		"done":        {func(c actor.Context, _ *dispatcher.Execute) { c.Respond(dispatcher.Done{}) }, []string{"done"}},
		"an error":    {failing(func(c actor.Context) { c.Respond(errors.New("a puncture")) }), []string{"a puncture", "done"}},
		"failed":      {failing(func(c actor.Context) { c.Respond(&dispatcher.Failed{}) }), []string{"answered Failed", "done"}},
		"a panic":     {failing(func(actor.Context) { panic("a crash") }), []string{"a crash", "done"}},
		"a stop":      {failing(func(c actor.Context) { c.Stop(c.Self()) }), []string{"without an answer", "done"}},
		"no answer":   {failing(func(actor.Context) {}), []string{"without an answer", "done"}}, // its deadline ends it
		"two answers": {failing(func(c actor.Context) { c.Respond(errors.New("a puncture")); c.Respond(dispatcher.Done{}) }), []string{"a puncture", "done"}},
		"by another": {func(c actor.Context, _ *dispatcher.Execute) {
			c.Forward(c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*dispatcher.Execute); ok {
					c.Respond(dispatcher.Done{})
				}
			})))
		}, []string{"done"}},
	}
	for name, row := range rows {
		for _, faults := range [][]Fault{nil, {{Kind: DieBefore, Process: 1, On: OnEnd, Nth: 1, Back: time.Second}}} {
			s := newStorm(t, func(w *World) {
				w.Service(func(p *Process) {
					p.Register("drive", actor.PropsFromFunc(func(c actor.Context) {
						if m, ok := c.Message().(*dispatcher.Execute); ok {
							if err := w.Effect(m.Ctx, "drive"); err != nil {
								c.Respond(err)
								return
							}
							row.receive(c, m)
						}
					}), task.Deadline(10*time.Second), task.Wait(time.Second, task.None), task.MaxFailures(5))
				})
				SubmitAt(w, time.Second, drive, parcel{1})
			}, nil)
			r := s.run(Schedule{Seed: 1, Fleet: 1, Faults: faults})
			var ends []string
			for _, e := range r.trace.events {
				if e.What == string(OnEnd) {
					ends = append(ends, e.Note)
				}
			}
			want := row.ends
			if faults != nil && len(want) > 1 {
				want = want[len(want)-1:] // the failure died with its process; the next attempt is the second
			}
			if len(r.findings) > 0 || !slices.EqualFunc(ends, want, strings.Contains) {
				t.Errorf("%s, %d faults: ends %q, want %q; found %v:\n%s", name, len(faults), ends, want, r.findings, r.timeline())
			}
		}
	}
}

// failing fails the first attempt in its way.
func failing(first func(c actor.Context)) func(actor.Context, *dispatcher.Execute) {
	return func(c actor.Context, m *dispatcher.Execute) {
		if m.Info.Attempt == 1 {
			first(c)
			return
		}
		c.Respond(dispatcher.Done{})
	}
}
