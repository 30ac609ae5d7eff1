package systemtest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

func TestSendManySendsTheArgumentsOfOneDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := several(t, 4, 1, 1)
		def := task.Define[int]("count", task.InPool("p1"))
		var sum atomic.Int64
		chassis.Handle(sys.System, def, func(_ context.Context, job task.Job[int]) error {
			if job.JobName != "adding" {
				t.Errorf("the job is %q", job.JobName)
			}
			sum.Add(int64(job.Args))
			return nil
		})
		sent, err := chassis.SendMany(t.Context(), sys.System, def, []int{1, 2, 3, 4}, task.ForJob("1", "adding"))
		if err != nil || len(sent) != 4 {
			t.Fatalf("%v: %v", sent, err)
		}
		sys.RunUntilIdle()
		for _, s := range sent {
			sys.AssertSucceeded(s.ExecID)
		}
		done := uint64(0)
		for _, s := range sys.Pools()[1].Tasks().Stats().Tasks {
			done += s.Succeeded
		}
		if sum.Load() != 10 || done != 4 {
			t.Errorf("the sum is %d; pool p1 has done %d", sum.Load(), done)
		}
	})
}

func TestSendManyRefusesOptionsOfASingleMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		def := task.Define[int]("count")
		for _, o := range []task.Option{task.ExecID("x"), task.Dedup("x")} {
			if _, err := chassis.SendMany(t.Context(), sys.System, def, []int{1, 2}, nil, o); err == nil || !strings.Contains(err.Error(), "options for each") {
				t.Errorf("%v", err)
			}
		}
		wrong := task.Define[int]("wrong", task.MaxFailures(0))
		if sent, err := chassis.SendMany(t.Context(), sys.System, wrong, []int{1}); err == nil || sent != nil {
			t.Errorf("%v, %v", sent, err)
		}
	})
}
