package chassistest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

var quote = task.Define[parcel]("quote", task.MaxFailures(6), task.Wait(time.Second, task.None))

// asking: processes ask tasks for answers while others die, and answers are lost, late and doubled.
// Who asks gets the answer to its own question, the failure of its own task, or the end of its ctx.
// The names of inboxes are drawn by no seed, and processes look through them in their order: so this
// is the one world in which a seed has more than one trace.
var asking = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, quote, func(ctx context.Context, job task.Job[parcel]) error {
				if err := pause(ctx, time.Duration(job.Args.ID%4)*time.Second); err != nil {
					return err
				}
				if err := w.Effect(ctx, "quote", job.Args.ID); err != nil {
					return err
				}
				switch {
				case job.Args.ID%7 == 3:
					return task.Cancel(fmt.Errorf("no price for %d", job.Args.ID))
				case job.Args.ID%5 == 1 && job.Attempt < 3:
					return errors.New("not yet")
				}
				return task.Return(ctx, parcel{1000 + job.Args.ID})
			})
			chassis.Handle(p.System, post, succeeds(w, p))
		})
		var (
			mu       sync.Mutex
			wrong    []string
			answered int
		)
		for i := range 24 {
			w.at(time.Duration(i)*2500*time.Millisecond+time.Second, func() {
				p := w.seats[i%len(w.seats)].p
				if p == nil || !p.started || p.stopping {
					return
				}
				w.operate(p, func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, time.Minute)
					defer cancel()
					got, err := chassis.Ask[parcel](ctx, p.System, quote, parcel{i}, task.ExecID(fmt.Sprint("question-", i)))
					mu.Lock()
					defer mu.Unlock()
					var failed *task.FailedError
					switch {
					case err == nil && (got.ID != 1000+i || i%7 == 3):
						wrong = append(wrong, fmt.Sprintf("question %d got %d", i, got.ID))
					case err == nil:
						answered++
					case errors.As(err, &failed) && failed.Reason == task.ReasonCancelled && i%7 != 3:
						wrong = append(wrong, fmt.Sprintf("question %d failed: %v", i, err))
					}
					return nil
				})
			})
		}
		Submit(w, post, parcel{0})
		SubmitAt(w, 2*time.Minute, post, parcel{1})
		w.Eventually("each gets its own answer", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(wrong) > 0 {
				return errors.New(wrong[0])
			}
			if answered == 0 && len(w.struck) == 0 {
				return errors.New("none was answered, and nothing went wrong")
			}
			return nil
		})
	},
	opts: []StormOption{Without(OneEnd)},
}
