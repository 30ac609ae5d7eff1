package addresses_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// among carries notices as a fleet does: to systems in this process. The answers of as many of
// them as are lost do not come back.
func among(systems []*chassistest.System, lost int) pools.Carrier {
	return func(ctx context.Context, n task.Notice) (c pools.Carried, err error) {
		for i, sys := range systems {
			found, err := sys.Pools()[0].TakeNotice(ctx, n)
			if err != nil {
				return c, err
			}
			if i < lost {
				c.Missing++
				continue
			}
			c.Members, c.Found = c.Members+1, c.Found+found
		}
		return c, nil
	}
}

// Where there is a fleet and a notice board: which of them a notice goes by.
func TestByTheFleetAndByTheBoard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			text    string
			id      string
			here    bool // the sender takes notices by the queue too
			there   bool // and the worker
			lost    int
			members bool
			want    chassis.Cancelled
			err     string
		}{
			{"found: the board is not used", "runs", true, true, 0, true, chassis.Cancelled{Fleet: 1, Members: 1}, ""},
			{"not found, no board: all know it", "no", false, false, 0, true, chassis.Cancelled{Members: 1}, ""},
			{"not found, and the setting asks for the board", "no", true, true, 0, true, chassis.Cancelled{Members: 1, Posted: 1}, ""},
			{"not found, no other has a board", "no", true, false, 0, true, chassis.Cancelled{Members: 1}, ""},
			{"no answer: by the board", "runs", false, true, 1, true, chassis.Cancelled{Missing: 1, Posted: 1}, ""},
			{"no answer, no board", "runs", false, false, 1, true, chassis.Cancelled{Missing: 1}, "1 of 1 other processes of the fleet have not answered"},
			{"a fleet of one: by the board", "runs", false, true, 0, false, chassis.Cancelled{Posted: 1}, ""},
			{"a fleet of one, no board", "runs", false, false, 0, false, chassis.Cancelled{}, addresses.ErrNobody.Error()},
		} {
			worker := service(t, nil, func(s *chassis.Settings) { s.Tasks.Notices = c.there })
			e := newEnds()
			e.handle(worker)
			sender := service(t, []*chassistest.System{worker}, func(s *chassis.Settings) { s.Tasks.Notices = c.here })
			quotes(sender.System)
			start(t, worker)
			chassistest.Send(worker, export, 1, task.ExecID("runs"))
			chassistest.Send(worker, export, 2, task.ExecID("stays"))
			pass(time.Second)
			start(t, sender)
			pass(time.Second)
			var members []*chassistest.System
			if c.members {
				members = append(members, worker)
			}
			sender.Pools()[0].CarryNotices(among(members, c.lost))
			known, err := sender.Cancel(t.Context(), c.id)
			if known != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %+v, %v", c.text, known, err)
			}
			pass(5 * time.Second)
			ends := 0
			if c.id == "runs" && known != (chassis.Cancelled{}) {
				ends = 1
			}
			if len(e.cause) != ends || ends == 1 && !errors.Is(e.cause[1], task.ErrCancelled) {
				t.Errorf("%s: %v have ended, want %d", c.text, e.cause, ends)
			}
			for _, sys := range []*chassistest.System{sender, worker} {
				if err := sys.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// A snooze that comes by both ways is one: the execution is not stopped again when it runs.
func TestASnoozeByBothWaysIsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		worker, e := service(t, nil, reachable), newEnds()
		e.handle(worker)
		start(t, worker)
		chassistest.Send(worker, export, 1, task.ExecID("nap"))
		pass(10 * time.Second)
		sender := chassistest.New(t, chassistest.Beside(worker), chassistest.Name("sender"), chassistest.Settings(
			func(s *chassis.Settings) { s.Tasks.TaskPool = pool }))
		start(t, sender)
		carried := among([]*chassistest.System{worker}, 1)
		sender.Pools()[0].CarryNotices(func(ctx context.Context, n task.Notice) (pools.Carried, error) {
			c, err := carried(ctx, n)
			pass(20 * time.Second) // the way back is slow: it runs again before the board brings the notice
			return c, err
		})
		if known, err := sender.Pools()[0].Order(t.Context(), task.Notice{ExecID: "nap", Snooze: 5}); err != nil || known.Posted != 1 {
			t.Errorf("%+v, %v", known, err)
		}
		pass(10 * time.Minute)
		if e.runs[1] != 2 {
			t.Errorf("it has begun %d times", e.runs[1])
		}
		if o := worker.Outcome("nap"); o.State != chassistest.Succeeded {
			t.Errorf("%+v", o)
		}
	})
}
