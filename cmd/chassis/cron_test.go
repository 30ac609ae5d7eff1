package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// scheduled is a service with three schedules, and the names of those that ran.
func scheduled(t *testing.T, change func(*chassis.Settings)) (sys *chassis.System, ran chan string) {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Admin.Listen = "127.0.0.1:0"
	if change != nil {
		change(&s)
	}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(&strings.Builder{}))
	if err != nil {
		t.Fatal(err)
	}
	ran = make(chan string, 10)
	report, sweep := task.Define[mail]("report"), task.Define[mail]("sweep", task.MaxFailures(1))
	chassis.Handle(sys, report, func(_ context.Context, job task.Job[mail]) error {
		ran <- job.JobName + " " + job.JobID + " " + job.ExecID
		return nil
	})
	chassis.Handle(sys, sweep, func(_ context.Context, job task.Job[mail]) error {
		ran <- job.JobName
		return errors.New("the disk is full")
	})
	chassis.Every(sys, report, mail{}, "0 3 * * *", cron.Zone("Europe/Berlin"))
	chassis.Every(sys, sweep, mail{}, "@yearly")
	chassis.Every(sys, sweep, mail{}, "@monthly", cron.Name("big-sweep"), cron.Paused())
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return sys, ran
}

func TestCronShowsAndSteersTheSchedules(t *testing.T) {
	emptyDir(t)
	sys, ran := scheduled(t, nil)
	on := func(args ...string) []string {
		return append([]string{"cron"}, append(args, "--admin", sys.AdminURL())...)
	}
	row := func(name string) string {
		t.Helper()
		for line := range strings.Lines(does(t, on("ls")...)) {
			if strings.HasPrefix(line, name+" ") {
				return line
			}
		}
		t.Fatalf("no line of %s", name)
		return ""
	}
	status := func(name string) schedules.Status {
		t.Helper()
		for _, s := range lines[schedules.Status](t, on("ls")...) {
			if s.Name == name {
				return s
			}
		}
		t.Fatalf("no object of %s", name)
		return schedules.Status{}
	}

	if line := row("big-sweep"); !strings.Contains(line, "@monthly UTC") || !strings.Contains(line, "paused by settings") {
		t.Errorf("ls: %s", line)
	}
	if s := status("report"); s.Task != "report" || s.Expr != "0 3 * * *" || s.Zone != "Europe/Berlin" || s.LastRun != nil {
		t.Errorf("ls --json: %+v", s)
	}

	// Run: now, apart from the ticks, and a failure is shown as one.
	id := printed[admin.ScheduleRun](t, on("run", "report")...)
	if got := <-ran; id.Name != "report" || got != "report report@operator "+id.ExecID {
		t.Errorf("run: answered %+v, ran %q", id, got)
	}
	if out := does(t, on("run", "sweep")...); !strings.HasPrefix(out, "sweep was sent ") || <-ran != "sweep" {
		t.Errorf("run: %q", out)
	}
	ended := func() bool { return status("sweep").LastRun != nil && status("report").LastRun != nil }
	for end := time.Now().Add(20 * time.Second); !ended() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // the run is noted after its handler has returned
	}
	if line := row("sweep"); !strings.Contains(line, " failed") {
		t.Errorf("a run that failed: %s", line)
	}
	if s := status("sweep"); s.LastRun == nil || s.LastRun.Error != "the disk is full" || s.Failed != 1 {
		t.Errorf("a run that failed: %+v", s)
	}
	if line := row("report"); strings.Contains(line, "failed") || !strings.Contains(line, status("report").LastRun.Began.UTC().Format(time.RFC3339)) {
		t.Errorf("a run: %s", line)
	}

	// Pause and resume: the list shows either at once.
	next := status("report").Next
	if out := does(t, on("pause", "report")...); strings.TrimSpace(out) != "report is paused" {
		t.Errorf("pause: %q", out)
	}
	if line := row("report"); !strings.Contains(line, "paused by operator") {
		t.Errorf("paused: %s", line)
	}
	if out := does(t, on("resume", "report")...); strings.TrimSpace(out) != "report goes on" {
		t.Errorf("resume: %q", out)
	}
	if s := status("report"); s.Paused != "" || s.Next.IsZero() || !s.Next.Equal(next) {
		t.Errorf("resumed: %+v, next was %v", s, next)
	}
}

func TestCronSaysWhatIsWrong(t *testing.T) {
	emptyDir(t)
	const token = "0123456789abcdef0123456789abcdef"
	sys, _ := scheduled(t, func(s *chassis.Settings) { s.Admin.Token = settings.NewSecret(token) })
	if r := chassisWith(t, "", "cron", "ls", "--admin", sys.AdminURL()); r.code != exitFailed || !strings.Contains(r.err, "CHASSIS_ADMIN__TOKEN") {
		t.Errorf("without the token: %+v", r)
	}
	t.Setenv("CHASSIS_ADMIN__TOKEN", token)
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"":             {exitUsage, "ls, pause, resume, run"},
		"ls report":    {exitUsage, "report"},
		"run":          {exitUsage, "arg"},
		"pause a b":    {exitUsage, "arg"},
		"run ghost":    {exitFailed, "report, sweep, big-sweep"},
		"pause ghost":  {exitFailed, `"ghost"`},
		"resume ghost": {exitFailed, "404"},
	} {
		args := append([]string{"cron"}, strings.Fields(line)...)
		if line != "" {
			args = append(args, "--admin", sys.AdminURL())
		}
		if r := chassisWith(t, "", args...); r.code != want.code || !strings.Contains(r.err, want.says) {
			t.Errorf("cron %s: %+v, want code %d and %q", line, r, want.code, want.says)
		}
	}
	other := watched(t, nil) // has no schedules
	if r := chassisWith(t, "", "cron", "run", "report", "--admin", other.AdminURL()); r.code != exitFailed || !strings.Contains(r.err, "no schedules") {
		t.Errorf("a service without schedules: %+v", r)
	}
	if out := does(t, "cron", "ls", "--admin", other.AdminURL()); strings.Count(out, "\n") > 1 {
		t.Errorf("a service without schedules: %s", out)
	}
}
