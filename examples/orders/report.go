package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// report counts a day, keeps the result and mails it.
func (s *shop) report(ctx context.Context, job task.Job[ForDay]) error {
	day, err := s.store.AddReport(ctx, job.Args.Day)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %d orders paid, %s taken, %s refunded",
		day.Day, day.Orders, money(day.Cents), money(day.Refunded))
	return s.write(ctx, "report-"+day.Day, s.live.Get().Report.To, "The day "+day.Day, text)
}

// nightly sends the task for each day that is over and not reported, every night and at
// the start. So a night without the service is made up for. Several processes may send
// the same day: it is reported once.
func (s *shop) nightly(ctx context.Context) error {
	for {
		now := time.Now().UTC()
		if err := s.reportUntil(ctx, now); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "a report is not sent", "error", err)
		}
		wait := time.NewTimer(nextNight(now, s.live.Get().Report.At).Sub(now))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil
		}
	}
}

// reportUntil sends the task of each day that has no report and ended before now.
func (s *shop) reportUntil(ctx context.Context, now time.Time) error {
	day, err := s.store.NextReport(ctx)
	if err != nil || day.IsZero() {
		return err
	}
	for ; !day.AddDate(0, 0, 1).After(now); day = day.AddDate(0, 0, 1) {
		_, err := chassis.Send(ctx, s.sys, Report, ForDay{day}, task.ExecID("report-"+day.Format(time.DateOnly)))
		if err != nil {
			return err
		}
	}
	return nil
}

// nextNight returns the next time of day at after now.
func nextNight(now time.Time, at time.Duration) time.Time {
	next := now.Truncate(24 * time.Hour).Add(at)
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	return next
}
