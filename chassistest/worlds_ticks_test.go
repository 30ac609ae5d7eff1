package chassistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

var (
	sweep  = task.Define[parcel]("sweep", task.MaxFailures(5), task.Wait(time.Second, task.None))
	report = task.Define[parcel]("report", task.MaxFailures(3), task.Wait(time.Second, task.None))
)

// ticking is how long the schedules of a play are judged.
const ticking = 4 * time.Minute

// ticks: three schedules in each process of a fleet, one for each policy of overlap.
var ticks = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			run := func(name string, least, most time.Duration) task.Handler[parcel] {
				return func(ctx context.Context, job task.Job[parcel]) error {
					if err := w.Effect(ctx, name, job.JobID); err != nil {
						return err
					}
					draw := digestStart.text(job.JobID).mixed()
					took := least + time.Duration(draw%uint64(most-least))
					if draw%4 > 0 {
						took = least
					}
					if err := pause(ctx, took); err != nil {
						return err
					}
					if draw%5 == 1 && job.Attempt == 1 {
						return errors.New("not yet")
					}
					return nil
				}
			}
			chassis.Handle(p.System, sweep, run("sweep", time.Millisecond, 4*time.Second))
			chassis.Handle(p.System, report, run("report", time.Second, 16*time.Second))
			chassis.Handle(p.System, post, succeeds(w, p))
			chassis.Every(p.System, sweep, parcel{1}, "@every 10s", cron.Late(cron.All(100)), cron.Overlap(cron.Allow))
			chassis.Every(p.System, report, parcel{2}, "@every 7s", cron.Name("skips"))
			chassis.Every(p.System, report, parcel{3}, "* * * * *", cron.Name("queues"), cron.Overlap(cron.Queue),
				cron.Late(cron.Once))
		})
		Submit(w, post, parcel{0})
		SubmitAt(w, ticking, post, parcel{1})
		w.Eventually("each tick runs", func() error { return everyTick(w, "sweep", 10*time.Second) })
		w.Always("no tick before its time", func() error { return noTickEarly(w) })
	},
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// everyTick says that each tick of a schedule has run: those of the last half minute may
// still be on their way, and none is owed from before the fleet could work. A process
// that could not write down that it has the schedule, for its credentials had expired,
// and then died, has left nothing for the next one to know.
func everyTick(w *World, name string, every time.Duration) error {
	ran := map[string]bool{}
	for _, e := range w.Effects(name) {
		ran[e.Args[0].(string)] = true
	}
	for at := every; at < ticking-30*time.Second; at += every {
		id := name + "@" + w.began.Add(at).UTC().Format(time.RFC3339)
		if works := slices.ContainsFunc(w.Effects(""), func(e Effect) bool { return e.At < at }); works && !ran[id] {
			return fmt.Errorf("%s has not run, and %d others have", id, len(ran))
		}
	}
	return nil
}

// noTickEarly says that the latest effect of a tick has not come before the tick. The clock of
// the queue is known to half a second.
func noTickEarly(w *World) error {
	all := w.Effects("")
	if len(all) == 0 {
		return nil
	}
	e := all[len(all)-1]
	id, _ := e.Args[0].(string)
	if !strings.Contains(id, "@") {
		return nil
	}
	_, at, err := tickOf(w, id)
	if early := at - e.At; err == nil && early > time.Second {
		return fmt.Errorf("%s ran %v before its time", id, early)
	}
	return err
}

// tickOf takes the job_id of a tick apart: the schedule's name, and the time since the beginning.
func tickOf(w *World, id string) (name string, at time.Duration, err error) {
	name, text, _ := strings.Cut(id, "@")
	t, err := time.Parse(time.RFC3339, text)
	return name, t.Sub(w.began), err
}
