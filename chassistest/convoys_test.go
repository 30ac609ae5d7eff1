package chassistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

var (
	load   = task.Define[parcel]("load", task.MaxFailures(3), task.Wait(2*time.Second, task.None))
	drive  = task.Define[parcel]("drive", task.MaxFailures(3), task.Wait(time.Second, task.None))
	unload = task.Define[parcel]("unload", task.MaxFailures(2), task.OnFail("lost"), task.Wait(time.Second, task.None))
)

// convoys is a play of n tasks in four groups: functions and task actors, failures, panics,
// on_fail tasks, dead letters, actors without an answer, and tasks that send into their group.
func convoys(n int) func(w *World) {
	return func(w *World) {
		group := func(id int) task.Option { return task.Group(fmt.Sprint(id % 4)) }
		w.Service(func(p *Process) {
			chassis.Handle(p.System, load, func(ctx context.Context, job task.Job[parcel]) error {
				if err := w.Effect(ctx, "load", job.Args.ID); err != nil {
					return err
				}
				if job.Args.ID%5 == 1 && job.Attempt < 3 || job.Args.ID%10 == 7 {
					return errors.New("it is too heavy")
				}
				if job.Args.ID%3 > 0 {
					return nil
				}
				_, err := chassis.Send(ctx, p.System, unload, job.Args, group(job.Args.ID), task.ExecID(job.ExecID+"/unload"),
					task.Dedup(job.ExecID+"/unload"))
				return err
			})
			chassis.Handle(p.System, unload, func(ctx context.Context, job task.Job[parcel]) error {
				if job.Args.ID%6 == 3 {
					panic("it falls")
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Duration(job.Args.ID) * time.Second):
					return nil
				}
			})
			chassis.Handle(p.System, lost, func(ctx context.Context, job task.Job[parcel]) error {
				return w.Effect(ctx, "lost", job.Args.ID)
			})
			p.Register("drive", actor.PropsFromFunc(func(c actor.Context) { driver(w, c) }), task.Deadline(40*time.Second),
				task.MaxFailures(3), task.Wait(time.Second, task.None))
		})
		for i := range n {
			if i%3 == 2 {
				Submit(w, drive, parcel{i}, group(i))
			} else {
				Submit(w, load, parcel{i}, group(i))
			}
		}
	}
}

// driver is a task actor. Some answer at once, some after a time; some fail, panic, stop
// without an answer, or never answer.
func driver(w *World, c actor.Context) {
	switch m := c.Message().(type) {
	case *dispatcher.Execute:
		var args parcel
		if err := m.Decode(&args); err != nil {
			c.Respond(err)
			return
		}
		if err := w.Effect(m.Ctx, "drive", args.ID); err != nil {
			c.Respond(err)
			return
		}
		sender, self, root := c.Sender(), c.Self(), c.ActorSystem().Root
		switch again := m.Info.Attempt < 3; {
		case args.ID%12 == 5 && again:
			c.Respond(dispatcher.Failed{Err: errors.New("a puncture")})
		case args.ID%12 == 8 && again:
			panic("a crash")
		case args.ID%12 == 11 && again:
			c.Stop(self)
		case args.ID == 14 && again: // until its deadline
		case args.ID%2 == 0:
			time.AfterFunc(time.Duration(args.ID)*time.Second, func() { root.Send(sender, dispatcher.Done{}) })
		default:
			c.Respond(&dispatcher.Done{})
		}
	}
}

// fifo puts the fleet of a storm on a FIFO pool.
func fifo(s *chassis.Settings) { s.Tasks.TaskPool = "storm.fifo" }

// TestStormOverAFIFOPool: the groups of a FIFO pool keep their order, of functions and of
// task actors, whatever goes wrong. CHASSIS_SCALE=full is as with TestStormOverTheRuntime.
func TestStormOverAFIFOPool(t *testing.T) {
	seeds := 20
	if os.Getenv("CHASSIS_SCALE") == "full" {
		seeds = number(t, "STORM_SEEDS", 5000)
	}
	Storm(t, convoys(30), Seeds(seeds), FirstSeed(uint64(number(t, "STORM_FIRST", 1))), Tune(fifo))
}
