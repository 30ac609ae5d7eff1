package main

import (
	"context"
	"database/sql"
	"time"
)

// Day is the report of one day.
type Day struct {
	Day             string // 2026-11-28
	Orders          int64  // that were paid
	Cents, Refunded int64
}

// Count counts a day.
func (s *Store) Count(ctx context.Context, day time.Time) (Day, error) {
	d := Day{Day: day.Format(time.DateOnly)}
	err := s.db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(cents), 0), (SELECT coalesce(sum(cents), 0) FROM orders
		WHERE refunded_at >= $1 AND refunded_at < $2 AND paid_at > 0) FROM orders WHERE paid_at >= $1 AND paid_at < $2`,
		day.UnixMilli(), day.AddDate(0, 0, 1).UnixMilli()).Scan(&d.Orders, &d.Cents, &d.Refunded)
	return d, err
}

// AddReport keeps the report of a day and has it mailed, unless there is one.
func (s *Store) AddReport(ctx context.Context, d Day, mail Letter) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.mail(ctx, tx, "report-"+d.Day, mail) },
		`INSERT INTO reports (day, orders, cents, refunded) VALUES ($1, $2, $3, $4) ON CONFLICT (day) DO NOTHING`,
		d.Day, d.Orders, d.Cents, d.Refunded)
}

// NextReport returns the first day that has no report: the one after the last report, or
// the day of the first order. It is zero if there are neither.
func (s *Store) NextReport(ctx context.Context) (time.Time, error) {
	var last string
	var first int64
	err := s.db.QueryRowContext(ctx, `SELECT coalesce((SELECT max(day) FROM reports), ''), coalesce(min(placed_at), 0)
		FROM orders`).Scan(&last, &first)
	if err != nil || last == "" {
		return timeOf(first).Truncate(24 * time.Hour), err
	}
	day, err := time.Parse(time.DateOnly, last)
	return day.AddDate(0, 0, 1), err
}
