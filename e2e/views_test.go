package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// looks are both themes, in both layouts.
var looks = []struct {
	name          string
	width, height int64
	theme         string
}{{"light", 1360, 900, "light"}, {"dark", 1360, 900, "dark"}, {"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}}

// fits looks at what is shown in each theme and layout.
func (b *tab) fits(view string) {
	b.t.Helper()
	for _, look := range looks {
		b.look(look.width, look.height, look.theme)
		if eval[bool](b, "width", `document.documentElement.scrollWidth > innerWidth`) {
			b.t.Errorf("%s in %s is wider than the window", view, look.name)
		}
		b.picture(view + "-" + look.name)
		if look.name == "light" || look.name == "phone-dark" {
			b.accessible(view + " in " + look.name)
		}
	}
	b.look(looks[0].width, looks[0].height, looks[0].theme)
}

// plan starts a service of these tasks alone.
func plan(t *testing.T, change func(*chassis.Settings), register func(*chassis.System)) *chassis.System {
	t.Helper()
	set := chassis.DefaultSettings()
	set.Admin.Listen = "127.0.0.1:0"
	if change != nil {
		change(&set)
	}
	sys, err := chassis.New("mailer", chassis.WithSettings(set), chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	register(sys)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return sys
}

// The page shows the schedules, runs one now, and pauses one.
func TestThePageShowsAndSteersSchedules(t *testing.T) {
	report, sweep := task.Define[mail]("report"), task.Define[mail]("sweep-old-files", task.MaxFailures(1))
	sys := plan(t, func(s *chassis.Settings) {
		s.Schedules = cron.Table{"cleanup": {Task: "sweep-old-files", Every: "@every 1h", Zone: "Europe/Berlin", Paused: true}}
	}, func(sys *chassis.System) {
		chassis.Handle(sys, report, func(context.Context, task.Job[mail]) error { return nil })
		chassis.Handle(sys, sweep, func(context.Context, task.Job[mail]) error {
			return errors.New("open /var/lib/mailer/attachments/2026/11: too many open files, after 1 024 of 18 441 were looked at")
		})
		chassis.Every(sys, report, mail{}, "30 3 * * MON-FRI", cron.Zone("America/Argentina/Buenos_Aires"), cron.Name("report-of-the-day"))
		chassis.Every(sys, sweep, mail{}, "@every 2s")
		chassis.Every(sys, report, mail{}, "0 0 29 2 *", cron.Name("leap-day"))
	})
	b := browse(t, sys.AdminURL())
	b.show("schedules")
	b.until("all of them", `document.querySelectorAll('#view-schedules tbody tr').length === 4`)
	cell := func(name, cell, text string) string {
		return b.hasText(fmt.Sprintf("[data-schedule=%q] [data-cell=%s]", name, cell), text)
	}
	b.until("its times", cell("report-of-the-day", "times", "30 3 * * MON-FRI"))
	b.until("the settings' pause", cell("cleanup", "next", "paused by settings"))
	b.until("which nothing here ends", `document.querySelector('[data-schedule="cleanup"] [data-act=pause]').hidden`)
	b.until("ticks are sent", cell("sweep-old-files", "sent", ":"))
	b.until("a failed run", cell("sweep-old-files", "failed", "too many open files"))

	b.until("a day that is not today", cell("leap-day", "next", "-02-"))

	button := func(name, act string) string { return fmt.Sprintf(`[data-schedule=%q] [data-act=%s]`, name, act) }
	b.click(button("report-of-the-day", "run"))
	b.until("the run", cell("report-of-the-day", "run", ":"))
	b.until("how long it took", cell("report-of-the-day", "took", "s"))
	b.click(button("sweep-old-files", "pause"))
	b.until("the pause", cell("sweep-old-files", "next", "paused by operator"))
	b.until("its end is offered", b.hasText(button("sweep-old-files", "pause"), "Resume"))
	if s := sys.Schedules(); s[1].Paused != "operator" {
		t.Errorf("paused by a click: %+v", s)
	}
	b.fits("schedules")
	b.click(button("sweep-old-files", "pause"))
	b.until("it goes on", cell("sweep-old-files", "next", ":"))
	b.quiet()
}

// The page lists the steps of an execution: done, in lanes, failed, asleep, under way, of a cursor.
func TestThePageShowsStepsOfAnExecution(t *testing.T) {
	hold := make(chan struct{})
	order := task.Define[mail]("order")
	var sys *chassis.System
	sys = plan(t, nil, func(sys *chassis.System) {
		chassis.Handle(sys, order, func(ctx context.Context, job task.Job[mail]) error {
			if _, err := task.Step(ctx, "reserve the stock", func(context.Context) (string, error) { return "ok", nil }); err != nil {
				return err
			}
			_, _ = task.Step(ctx, "look for a voucher", func(context.Context) (string, error) {
				return "", errors.New("the vouchers answered 503 Service Unavailable")
			})
			cursor, err := task.OpenCursor(ctx, "rows of the invoice", 0)
			if err != nil {
				return err
			}
			if err := cursor.Save(2000); err != nil {
				return err
			}
			lane := task.Lane(ctx, "mail")
			if _, err := task.Step(lane, "confirm", func(context.Context) (bool, error) { return true, nil }); err != nil {
				return err
			}
			if err := task.Sleep(task.Lane(ctx, "reminder"), "14 days of grace", 14*24*time.Hour); err == nil {
				return errors.New("14 days have passed")
			}
			_, err = task.Step(ctx, "charge the card", func(ctx context.Context) (bool, error) {
				select {
				case <-hold:
				case <-ctx.Done():
				}
				return true, ctx.Err()
			})
			return err
		})
	})
	t.Cleanup(func() { close(hold) })
	if _, err := chassis.Send(t.Context(), sys, order, mail{To: "zoë@example.org"}, task.ForJob("4711", "spring order")); err != nil {
		t.Fatal(err)
	}
	b := browse(t, sys.AdminURL())
	b.show("executions")
	b.until("it runs", b.hasText(".vt-inner .vt-row", "order"))
	b.until("its steps are known", `fetch('api/v1/executions?limit=10').then((r) => r.text()).then((t) => t.includes('charge the card'))`)
	b.click(`.vt-inner .vt-row button.link`)
	for _, want := range []string{"reserve the stock", "failed, and the task went on", "at 2000", "mail / confirm", "asleep until", "under way"} {
		b.until(want, b.hasText("dialog .steps li", want))
	}
	b.fits("steps")
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("closed", `!document.querySelector('dialog[open]')`)
	b.quiet()
}

// The page names the service that a task waits for.
func TestThePageShowsWhatATaskWaitsFor(t *testing.T) {
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "down for repairs", http.StatusServiceUnavailable)
	}))
	t.Cleanup(down.Close)
	welcome := task.Define[mail]("welcome", task.Wait(time.Second, task.None))
	sys := plan(t, func(s *chassis.Settings) {
		s.CircuitBreaker.ClosedFailLimit, s.CircuitBreaker.OpenTimeout = 3, time.Minute
	}, func(sys *chassis.System) {
		s := &service{System: sys, gateway: down}
		b := sys.Breaker(down.URL)
		chassis.Handle(sys, welcome, func(ctx context.Context, _ task.Job[mail]) error {
			return s.deliver(ctx, b.Client(), "/v1/welcome")
		})
		chassis.Handle(sys, task.Define[mail]("report"), func(context.Context, task.Job[mail]) error { return nil })
	})
	b := browse(t, sys.AdminURL())
	for range 60 {
		if _, err := chassis.Send(t.Context(), sys, welcome, mail{To: "zoë@example.org"}); err != nil {
			t.Fatal(err)
		}
	}
	b.show("tasks")
	b.until("what it waits for", b.hasText("#view-tasks .waits:not([hidden])", "waits for 127.0.0.1:"))
	b.until("not the other", `document.querySelectorAll('#view-tasks .waits:not([hidden])').length === 1`)
	b.fits("waits")
	b.show("overview")
	b.picture("waits-overview")
	b.quiet()
}
