package flow_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

// TestLinksKeepTheirTenants: of the definition, by the arguments of a first link, and of
// each link's own option.
func TestLinksKeepTheirTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		flows, err := flow.New(sys.System)
		if err != nil {
			t.Fatal(err)
		}
		by := task.Define[arg]("by", task.TenantOf(func(a arg) string { return a.Name }))
		b := &book{}
		chassis.Handle(sys.System, by, func(_ context.Context, job task.Job[arg]) error {
			b.note(job.Info, "%s", job.Tenant)
			return nil
		})
		_, err = flows.Start(t.Context(), flow.Chain(flow.Task(by, arg{Name: "acme"}), flow.Next(by),
			flow.Next(by, task.Tenant("other"))))
		if err != nil {
			t.Fatal(err)
		}
		idle(sys, flows)
		if got := b.all(); !slices.Equal(got, []string{"acme", "", "other"}) {
			t.Errorf("the links ran for %s", fmt.Sprintf("%q", got))
		}
	})
}
