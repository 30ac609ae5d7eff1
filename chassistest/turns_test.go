package chassistest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// TestADeliveryThatIsNotHeardCounts: the queue gives a message to a process that dies at that
// moment. On a FIFO pool this delivery counts as a failure, as docs/tasks.md says, and nothing is
// accused.
func TestADeliveryThatIsNotHeardCounts(t *testing.T) {
	fails := task.Define[parcel]("fails", task.MaxFailures(2), task.Wait(time.Second, task.None))
	s := newStorm(t, func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, fails, func(context.Context, task.Job[parcel]) error {
				return errors.New("it never works")
			})
		})
		sent := SubmitAt(w, 5*time.Second, fails, parcel{0}, task.Group("g"))
		w.sends = nil // it is sent here
		w.book.expect(sent)
		w.at(sent.At, func() {
			w.send(sent) // the receive under way has it
			w.kill(w.seats[0].p)
			w.startAfter(w.seats[0], 10*time.Second)
		})
	}, []StormOption{Tune(fifo)})
	r := s.run(Schedule{Seed: 1, Fleet: 1})
	if h := (history{r}); len(r.findings) > 0 || !h.noted("receive answered", "not heard") ||
		!h.noted("start", "attempt 2") || h.noted("start", "attempt 3") {
		t.Errorf("found %v:\n%s", r.findings, r.timeline())
	}
}
