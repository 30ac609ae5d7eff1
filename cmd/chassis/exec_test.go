package main

import (
	"context"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

func TestExecShowsAndEndsAnExecution(t *testing.T) {
	emptyDir(t)
	s := chassis.DefaultSettings()
	s.Admin.Listen = "127.0.0.1:0"
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(&strings.Builder{}))
	if err != nil {
		t.Fatal(err)
	}
	slow := task.Define[mail]("slow")
	begun := make(chan struct{}, 10)
	chassis.Handle(sys, slow, func(ctx context.Context, job task.Job[mail]) error {
		job.Report(3, 7, "letters\x1b[31m\n"+strings.Repeat("x", 1000))
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	on := func(args ...string) []string {
		return append([]string{"exec"}, append(args, "--admin", sys.AdminURL())...)
	}
	for _, id := range []string{"one", "two"} {
		if _, err := chassis.Send(t.Context(), sys, slow, mail{}, task.ExecID(id)); err != nil {
			t.Fatal(err)
		}
		<-begun
	}
	out := does(t, on("show", "one")...)
	if !strings.Contains(out, "3 of 7 letters") || !strings.Contains(out, "running since") || strings.Contains(out, "\x1b") ||
		len(out) > 1000 || strings.Contains(out, "two") {
		t.Errorf("%s", out)
	}
	if out := does(t, on("cancel", "one", "--reason", "sent twice")...); !strings.Contains(out, "one is cancelled") {
		t.Errorf("%s", out)
	}
	if out := does(t, on("snooze", "two", "10m")...); !strings.Contains(out, "two runs again in 10m0s") {
		t.Errorf("%s", out)
	}
	var errs strings.Builder
	for _, args := range [][]string{on("show", "three"), on("cancel", "three"), on("snooze", "two", "soon")} {
		if code := run(t.Context(), args, strings.NewReader(""), &strings.Builder{}, &errs); code == 0 {
			t.Errorf("%v is no error", args)
		}
	}
	for _, want := range []string{"is in this process", "three", "is no duration"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is missing in %s", want, errs.String())
		}
	}
}
