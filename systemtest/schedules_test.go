package systemtest_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

var tidy = task.Define[kit.Payload]("tidy", task.MaxFailures(3), task.Wait(time.Second, task.None))

// runsOf keeps what the handlers of a fleet have run.
type runsOf struct {
	mu   sync.Mutex
	list []string
	most int // at once
	now  int
}

func (r *runsOf) begin(job task.Job[kit.Payload]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now++
	r.most = max(r.most, r.now)
	r.list = append(r.list, job.JobID)
}

func (r *runsOf) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
}

func (r *runsOf) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.list, " ")
}

// schedule starts a service with a schedule each minute, with runs of that length.
func schedule(t *testing.T, beside *chassistest.System, runs *runsOf, took time.Duration, opts ...cron.Option) *chassistest.System {
	t.Helper()
	var where []chassistest.Option
	if beside != nil {
		where = append(where, chassistest.Beside(beside))
	}
	sys := chassistest.New(t, where...)
	chassis.Handle(sys.System, tidy, func(ctx context.Context, job task.Job[kit.Payload]) error {
		runs.begin(job)
		defer runs.end()
		select {
		case <-time.After(took):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	chassis.Every(sys.System, tidy, kit.Payload{N: 7}, "* * * * *", opts...)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sys
}

// A tick that comes during a run is skipped, queued or run at the same time, in a fleet,
// whichever process has the run (sidekiq, kubernetes' concurrencyPolicy).
func TestATickDuringARun(t *testing.T) {
	for policy, want := range map[cron.OverlapPolicy]struct {
		runs string
		most int
	}{
		cron.Skip:  {"00:01 00:03 00:05", 1},
		cron.Queue: {"00:01 00:02 00:03 00:04", 1},
		cron.Allow: {"00:01 00:02 00:03 00:04 00:05 00:06", 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			runs := &runsOf{}
			a := schedule(t, nil, runs, 90*time.Second, cron.Overlap(policy))
			b := schedule(t, a, runs, 90*time.Second, cron.Overlap(policy))
			time.Sleep(6*time.Minute + 20*time.Second)
			var got []string
			for id := range strings.FieldsSeq(runs.text()) {
				got = append(got, strings.TrimPrefix(id, "tidy@2000-01-01T")[:5])
			}
			if text := strings.Join(got, " "); text != want.runs || runs.most != want.most {
				t.Errorf("%s: ran %s, %d at once; want %s, %d", policy, text, runs.most, want.runs, want.most)
			}
			skipped := a.Schedules()[0].Skipped + b.Schedules()[0].Skipped
			if policy == cron.Skip && skipped != 2 || policy != cron.Skip && skipped != 0 {
				t.Errorf("%s: %d skipped", policy, skipped)
			}
			_ = a.Stop(t.Context())
			_ = b.Stop(t.Context())
		})
	}
}

// Mistakes are errors of the start, all of them.
func TestMistakesOfSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Schedules = cron.Table{"ghost": {Paused: true}, "other": {Task: "nothere", Every: "@daily"}}
		}))
		chassis.Handle(sys.System, tidy, func(context.Context, task.Job[kit.Payload]) error { return nil })
		chassis.Every(sys.System, tidy, kit.Payload{}, "* * * *")
		chassis.Every(sys.System, task.Define[kit.Payload]("unknown"), kit.Payload{}, "@daily")
		err := sys.Start(t.Context())
		for _, want := range []string{`schedule "tidy"`, "expected", `the task "unknown" is not registered`, "schedules.ghost", `the task "nothere" is not registered`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		_ = sys.Stop(t.Context())
	})
}

// The settings change and pause the schedules of the code, and add others, while the
// service runs.
func TestSchedulesOfTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &runsOf{}
		sys := schedule(t, nil, runs, 0)
		apply := func(table cron.Table) {
			next := sys.Settings()
			next.Schedules = table
			if _, err := sys.Apply(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2*time.Minute + time.Second)
		apply(cron.Table{"tidy": {Paused: true}, "extra": {Task: "tidy", Every: "@every 2m", Args: `{"n": 3}`}})
		time.Sleep(2 * time.Minute)
		apply(cron.Table{"tidy": {Every: "*/5 * * * *"}})
		time.Sleep(3 * time.Minute)
		want := "tidy@2000-01-01T00:01:00Z tidy@2000-01-01T00:02:00Z extra@2000-01-01T00:04:00Z tidy@2000-01-01T00:05:00Z"
		if got := runs.text(); got != want {
			t.Errorf("ran %s\nwant %s", got, want)
		}
		if st := sys.Schedules(); len(st) != 1 || st[0].Expr != "*/5 * * * *" || st[0].Source != "code and settings" || st[0].Runs != 3 || st[0].LastRun == nil {
			t.Errorf("%+v", st)
		}
		next := sys.Settings()
		next.Schedules = cron.Table{"tidy": {Every: "61 * * * *"}}
		if _, err := sys.Apply(t.Context(), next); err == nil || !strings.Contains(err.Error(), "schedules.tidy") {
			t.Error(err)
		}
		_ = sys.Stop(t.Context())
	})
}

// A tick is a task as any other: it has a budget, and its exec_id is that of the tick.
func TestATickThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		time.Sleep(time.Hour)
		var mu sync.Mutex // guards what follows
		var ids []string
		chassis.Handle(sys.System, tidy, func(_ context.Context, job task.Job[kit.Payload]) error {
			mu.Lock()
			ids = append(ids, job.ExecID)
			mu.Unlock()
			if job.Args.N != 7 || job.JobName != "nightly" {
				t.Errorf("%+v", job)
			}
			panic("no")
		})
		chassis.Every(sys.System, tidy, kit.Payload{N: 7}, "@daily", cron.Name("nightly"))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour + time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(ids) < 3 || ids[0] != ids[2] {
			t.Errorf("ran as %v", ids)
		}
		dead := 0
		for d, err := range sys.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if dead++; d.ExecID != ids[0] || d.Pool != "test-tasks-cron.fifo" {
				t.Errorf("%+v", d)
			}
		}
		if st := sys.Schedules()[0]; dead == 0 || st.Failed != uint64(len(ids)) {
			t.Errorf("%d dead, %+v", dead, st)
		}
		_ = sys.Stop(t.Context())
	})
}
