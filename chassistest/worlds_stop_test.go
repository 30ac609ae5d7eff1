package chassistest

import (
	"context"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// stops: processes that stop while the queue refuses.
var stops = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				if job.Args.ID%3 == 1 && job.Attempt == 1 {
					return task.Snooze(15 * time.Second)
				}
				return w.Effect(ctx, "pack", job.Args.ID)
			})
		})
		for i := range 40 {
			SubmitAt(w, time.Duration(i)*time.Second, pack, parcel{i})
		}
		stopsWithin(w, 13*time.Second)
		copiesAtMost(w, 6)
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy, Deny), tuned(func(t *chassis.TaskSettings) {
		t.DrainTimeout, t.AbandonAfter, t.ReceiveWait = 2*time.Second, time.Second, time.Second
	})},
}

// polls: long polls that outlast the time of a drain.
var polls = playground{
	play: func(w *World) {
		w.Service(func(p *Process) {
			chassis.Handle(p.System, pack, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "pack", job.Args.ID)
			})
		})
		for i := range 40 {
			SubmitAt(w, time.Duration(1000*i+500)*time.Millisecond, pack, parcel{i})
		}
	},
	opts: []StormOption{Fleet(2), Kinds(Deploy), tuned(func(t *chassis.TaskSettings) {
		t.DrainTimeout, t.AbandonAfter = time.Second, time.Second
	})},
}
