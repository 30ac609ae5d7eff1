package chassistest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// tenantLimit is how many executions of a tenant may run at once where there is a limit.
const tenantLimit = 2

var rent = task.Define[parcel]("rent", task.MaxFailures(4), task.Wait(time.Second, task.None), task.OnFail("lost"),
	task.TenantOf(func(p parcel) string { return tenantOf(p.ID) }))

func tenantOf(id int) string { return fmt.Sprint("tenant-", id%4) }

// tenants: tasks of four tenants, which fail, wait, send others and are given up.
func tenants(w *World) { ofTenants(w, func(int) []task.Option { return nil }) }

func ofTenants(w *World, opts func(id int) []task.Option) {
	w.Service(func(p *Process) {
		chassis.Handle(p.System, rent, func(ctx context.Context, job task.Job[parcel]) error {
			if err := pause(ctx, time.Duration(job.Args.ID%5)*time.Second); err != nil {
				return err
			}
			if err := w.Effect(ctx, "rent", job.Args.ID, job.Tenant); err != nil {
				return err
			}
			switch {
			case job.Args.ID%7 == 1 && job.Attempt < 3, job.Args.ID%13 == 5:
				return errors.New("no money")
			case job.Args.ID%6 == 2 && job.Attempt == 1:
				return task.Snooze(35 * time.Second)
			case job.Args.ID%3 == 0:
				_, err := chassis.Send(ctx, p.System, post, job.Args)
				return err
			}
			return nil
		})
		chassis.Handle(p.System, post, succeeds(w, p))
		chassis.Handle(p.System, lost, succeeds(w, p))
	})
	for i := range 30 {
		Submit(w, rent, parcel{i}, opts(i)...)
	}
	w.Eventually("each runs for its tenant", func() error {
		for _, e := range w.Effects("rent") {
			if want := tenantOf(e.Args[0].(int)); e.Args[1] != want {
				return fmt.Errorf("%s ran for %q, and is of %q", e.Task, e.Args[1], want)
			}
		}
		return nil
	})
}

// limitedTenants: the same on a FIFO pool with a limit for each tenant. Two thirds of the messages
// come in groups of senders that know another limit, or none, so they are moved before they run.
func limitedTenants(w *World) {
	ofTenants(w, func(id int) []task.Option {
		known := []int{tenantLimit, 0, 10}[id/4%3]
		return []task.Option{task.Group(task.GroupOfTenant(tenantOf(id), fmt.Sprint("rent#", id), known))}
	})
	w.Always("the limit of a tenant", func() error {
		running := map[string]int{}
		for _, f := range w.book.order {
			for _, r := range f.runs {
				if r.info.Tenant != "" && r.goesOn() && r.delivery != nil && !r.delivery.message.doubled &&
					!r.delivery.message.gone && w.Now() <= r.delivery.until {
					running[r.info.Tenant]++
				}
			}
		}
		for tenant, n := range running {
			if n > tenantLimit {
				return fmt.Errorf("%d executions of %s run at once", n, tenant)
			}
		}
		return nil
	})
}

// limitTenants puts the fleet on a FIFO pool with the limit.
func limitTenants(s *chassis.Settings) {
	fifo(s)
	s.Tasks.Limits = dispatcher.Limits{Tenant: dispatcher.TenantLimits{Running: tenantLimit}}
}
