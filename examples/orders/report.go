package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// nightly has the days reported every night, and a night without the service made up for.
func (s *shop) nightly() {
	chassis.Every(s.sys, Report, ForNight{}, "0 2 * * *", cron.Late(cron.Once))
}

// report counts each day that is over and has no report, keeps the result and mails it.
func (s *shop) report(ctx context.Context, _ task.Job[ForNight]) error {
	for {
		day, err := s.store.NextReport(ctx)
		if err != nil || day.IsZero() || day.AddDate(0, 0, 1).After(time.Now()) {
			return err
		}
		d, err := s.store.Count(ctx, day)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s: %d orders paid, %s taken, %s refunded",
			d.Day, d.Orders, money(d.Cents), money(d.Refunded))
		if err := s.store.AddReport(ctx, d, Letter{s.live.Get().Report.To, "The day " + d.Day, text}); err != nil {
			return err
		}
	}
}
