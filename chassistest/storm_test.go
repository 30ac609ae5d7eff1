package chassistest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

type bill struct{ ID int }

var charge = task.Define[bill]("charge", task.MaxFailures(4), task.Wait(2*time.Second, task.None))

// plain is a play of n tasks, each with one effect.
func plain(n int) func(w *chassistest.World) {
	return func(w *chassistest.World) {
		w.Service(func(p *chassistest.Process) {
			chassis.Handle(p.System, charge, func(ctx context.Context, job task.Job[bill]) error {
				if err := w.Effect(ctx, "charge", job.Args.ID); err != nil {
					return err
				}
				if job.Args.ID%7 == 3 && job.Attempt < 3 {
					return errors.New("it does not work yet")
				}
				return nil
			})
		})
		for i := range n {
			chassistest.Submit(w, charge, bill{ID: i})
		}
		w.Eventually("all are charged", func() error {
			done := map[any]bool{}
			for _, e := range w.Effects("charge") {
				done[e.Args[0]] = true
			}
			if len(done) < n {
				return fmt.Errorf("%d of %d", len(done), n)
			}
			return nil
		})
	}
}

func TestStorm(t *testing.T) {
	chassistest.Storm(t, plain(30), chassistest.Seeds(20))
}
