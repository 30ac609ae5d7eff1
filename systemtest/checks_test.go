package systemtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// While a check for tasks fails none begins, no failure is spent, and messages stay on
// the queue; an operator's pause is apart.
func TestTasksWaitForTheirDependency(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		var down atomic.Bool
		var runs, failed atomic.Int64
		down.Store(true)
		refused := errors.New("connection refused")
		sys.Check("db", func(context.Context) error {
			if down.Load() {
				return refused
			}
			return nil
		}, health.ForTasks(), health.Every(time.Second))
		sys.Check("search", func(context.Context) error { return refused }, health.ForInformation())
		work := task.Define[int]("work", task.MaxFailures(1))
		chassis.Handle(sys.System, work, func(context.Context, task.Job[int]) error {
			runs.Add(1)
			if down.Load() {
				failed.Add(1)
				return refused
			}
			return nil
		})
		send := func(n int) {
			for i := range n {
				if _, err := chassis.Send(t.Context(), sys.System, work, i); err != nil {
					t.Fatal(err)
				}
			}
		}
		send(5)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Minute)
		stats := sys.Tasks().Stats()
		if n := runs.Load(); n != 0 || !stats.Paused || strings.Join(stats.PausedBy, " ") != "db" {
			t.Errorf("down at the start: %d runs, %+v", n, stats)
		}
		if r := sys.Ready(t.Context()); !r.OK() || r.Checks["db"] != "ERROR" || r.Checks["search"] != "ERROR" {
			t.Errorf("a check for tasks alone and one for information: %+v", r)
		}

		down.Store(false)
		kit.Pass(5 * time.Second)
		if n := runs.Load(); n != 5 || sys.Tasks().Stats().Paused {
			t.Errorf("up: %d runs", n)
		}

		// It goes down between two runs of the check: what fails meanwhile spends nothing,
		// though one failure is all that the task has.
		down.Store(true)
		send(5)
		kit.Pass(time.Minute)
		if n := failed.Load(); n == 0 || n > 5 {
			t.Errorf("%d failures until the check was asked", n)
		}
		if err := sys.Control().Resume(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Minute)
		if !sys.Tasks().Stats().Paused || failed.Load() > 5 {
			t.Errorf("an operator's resume ended the pause of the check: %d failures", failed.Load())
		}
		if err := sys.Control().Pause(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		down.Store(false)
		kit.Pass(time.Minute)
		if n := runs.Load() - failed.Load(); n != 5 || !sys.Tasks().Stats().Paused {
			t.Errorf("the end of the outage ended the operator's pause: %d runs were good", n)
		}
		if err := sys.Control().Resume(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		kit.Pass(10 * time.Minute)
		if n := runs.Load() - failed.Load(); n != 10 {
			t.Errorf("%d of 10 tasks are done", n)
		}
		sys.AssertNoneDead()
	})
}

// Readiness follows the checks that count for it, by the setting.
func TestReadinessFollowsTheChecks(t *testing.T) {
	for _, without := range []bool{false, true} {
		sys := newService(t, func(s *chassis.Settings) {
			if without {
				s.Lifecycle.ReadyWithout = []string{"db"}
			}
		})
		var down atomic.Bool
		sys.Check("db", func(context.Context) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}, health.Every(20*time.Millisecond))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		await := func(want int) {
			t.Helper()
			var code int
			var body string
			for range 500 {
				res, err := http.Get(sys.AdminURL() + "readyz?verbose")
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if code, body = res.StatusCode, string(text); code == want {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("without %v: %d %s", without, code, body)
		}
		await(200)
		down.Store(true)
		if without {
			time.Sleep(200 * time.Millisecond)
			await(200)
		} else {
			await(503)
		}
		down.Store(false)
		await(200)
		http.DefaultClient.CloseIdleConnections()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
